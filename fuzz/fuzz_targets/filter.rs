#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| scim_bridge_fuzz::filter(bytes));
