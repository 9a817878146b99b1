# Names for script/ and the like: https://just.systems. `just` lists them.

_list:
    @just --list --unsorted

# The bridge, a Postman stand-in, signed webhooks: what became of each person
demo *options:
    cargo run --release -- demo {{ options }}

# Everything that must hold for a change
test:
    script/test

# The unit tests
unit *filter:
    cargo test --lib {{ filter }}

# Formatting and lints
lint:
    cargo fmt --check
    cargo clippy --locked --all-targets -- -D warnings

# The chart's checks; takes pytest's options
chart *options:
    script/chart-test {{ options }}

# The image, in a container engine
image:
    script/image-test

# Chaos, kills and fuzzing, for as long as there is time
soak *options:
    script/soak {{ options }}

# One of benches/: intake, drain, store, …
bench name *options:
    cargo bench --bench {{ name }} -- {{ options }}

# The artefacts of a release; nothing is published
release version *options:
    script/release {{ version }} {{ options }}
