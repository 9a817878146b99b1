use super::*;

fn filter(text: &str) -> Result<Jq, String> {
    Jq::parse(text)
}

fn first(text: &str, record: &str) -> Result<Option<String>, Problem> {
    let record = Json::parse(record).unwrap();
    let found = filter(text).unwrap_or_else(|problem| panic!("{text}: {problem}")).first(&record)?;
    Ok(found.map(|value| value.scalar().map_or(value.type_word().to_owned(), std::borrow::Cow::into_owned)))
}

#[test]
fn a_filter_gives_its_first_result_and_whole_numbers_keep_every_digit() {
    let record = r#"{"id":9007199254740993,"big":18446744073709551615,"emails":[{"type":"home","value":"h"},{"type":"work","value":"w"}]}"#;
    assert_eq!(first(".id", record).unwrap().as_deref(), Some("9007199254740993"));
    assert_eq!(first(".id | tostring", record).unwrap().as_deref(), Some("9007199254740993"));
    assert_eq!(first(".big", record).unwrap().as_deref(), Some("18446744073709551615"));
    let work = r#".emails[] | select(.type == "work") | .value"#;
    assert_eq!(first(work, record).unwrap().as_deref(), Some("w"));
    assert_eq!(first(".emails[].value", record).unwrap().as_deref(), Some("h"));
    assert_eq!(first(".emails[] | select(.type == \"x\")", record).unwrap(), None);
}

#[test]
fn only_short_numeric_text_becomes_a_number() {
    let of = |text: &str| first(".n | tonumber", &format!(r#"{{"n":"{text}"}}"#));
    assert!(of("12").is_ok() && of("-1.5e3").is_ok());
    for hostile in [
        "[".repeat(200_000),
        "{".repeat(200_000),
        "1 ".repeat(20),
        "1".repeat(65),
        String::new(),
        "1,2".to_owned(),
        "1-2".to_owned(),
    ] {
        assert_eq!(of(&hostile).unwrap_err(), Problem::FilterFailed, "{} bytes", hostile.len());
    }
}

#[test]
fn a_filter_that_fails_says_so_without_a_value() {
    for failing in [".name[]", ".name + 1", ".name | tonumber", "[.name] | join(.missing)"] {
        let problem = first(failing, r#"{"name":"Lovelace"}"#).unwrap_err();
        assert_eq!(problem, Problem::FilterFailed, "{failing}");
        assert!(!problem.to_string().contains("Lovelace"));
    }
    assert_eq!(first(".name[]?", r#"{"name":"Lovelace"}"#).unwrap(), None);
}

#[test]
fn loops_inputs_and_side_effects_are_refused_at_parse_time() {
    for hostile in [
        "def f: f; f",
        "def f: .; f",
        "repeat(.)",
        "[.[] | recurse]",
        "recurse(.a)",
        "..",
        "while(true; .)",
        "until(false; .)",
        "range(1000000000)",
        "[range(0; 10)]",
        "limit(3; repeat(1))",
        "reduce .[] as $x (0; . + $x)",
        "foreach .[] as $x (0; . + 1)",
        "label $out | break $out",
        "env",
        "$ENV",
        "env.HOME",
        "$ENV.HOME",
        "$__prog_args",
        "input",
        "inputs",
        "debug",
        "stderr",
        "now",
        "halt",
        "halt_error",
        "error",
        "error(.)",
        "input_filename",
        "\"x\" * 1000000000",
        ". / 0",
        "5 % 0",
        ".a = 1",
        ".a |= .",
        ".a += .a",
        "del(.a)",
        "walk(.)",
        "paths",
        "combinations",
        "test(\"(a*)*b\")",
        "gsub(\"a\"; \"b\")",
        "@base64",
        "@json \"\\(.)\"",
        "try error(.) catch .",
        "strptime(\"%Y\")",
        "implode",
        "splits(\"a\")",
        ". as [$a] | $a",
        "$unbound",
        "nonsense",
        "map(.; .)",
        "import \"a\" as a; .",
        "include \"a\"; .",
    ] {
        let problem = filter(hostile).unwrap_err();
        assert!(!problem.is_empty() && problem.len() < 1_000, "{hostile}: {problem}");
    }
    // Lists within lists within lists; lists of lists; texts that double.
    for long in [
        ".[] as $a | .[] as $b | .[] as $c | .[] as $d | select($a == $b and $c == $d)",
        "[.[] as $a | .[]] | [.[] as $a | .[]] | [.[] as $a | .[]] | map(.)",
        ".a | . + . | . + . | . + . | . + . | . + . | . + . | . + . | . + . | . + . | . + . | . + . | . + . | . + . | . + . | . + .",
        ".a | \"\\(.)\\(.)\" | \"\\(.)\\(.)\" | \"\\(.)\\(.)\" | \"\\(.)\\(.)\" | \"\\(.)\\(.)\" | \"\\(.)\\(.)\"",
        "[.a, .a] | map(., .) | map(., .) | map(., .) | map(., .) | map(., .) | map(., .) | map(., .) | map(., .)",
        ".a | split(\"\") | [.[] as $a | .[] as $b | $a] | map(split(\"\"))",
    ] {
        assert!(filter(long).unwrap_err().contains("too long"), "{long}");
    }
}

#[test]
fn a_malformed_filter_says_where() {
    for (malformed, place) in
        [(".a |", "line 1, column 5"), (".a\n | .b[", "line 2"), (".a ) .b", "column 4"), ("\"a", "line 1")]
    {
        let problem = filter(malformed).unwrap_err();
        assert!(problem.starts_with("not a jq filter") && problem.contains(place), "{malformed}: {problem}");
    }
    assert!(filter(&".a | ".repeat(300)).unwrap_err().contains("at most 1000"));
}

#[test]
fn a_filter_as_deep_as_the_bound_allows_is_read_on_a_threads_usual_stack() {
    let deep = |open: &str, inner: &str, close: &str| {
        let mut text = inner.to_owned();
        while parts(&text) < FILTER_PARTS_MAX && text.len() < FILTER_BYTES_MAX - open.len() - close.len() {
            text = format!("{open}{text}{close}");
        }
        while parts(&text) > FILTER_PARTS_MAX {
            text = text.strip_prefix(open).unwrap().strip_suffix(close).unwrap().to_owned();
        }
        // Accepted or refused, it must return.
        let _ = filter(&text);
        let _ = filter(&text[..text.len() - close.len()]);
    };
    for (open, inner, close) in [
        ("(", ".", ")"),
        ("[", ".", "]"),
        ("{a:", ".", "}"),
        ("-", "1", ""),
        ("try ", ".", ""),
        ("if . then ", ".", " end"),
        ("\"\\(", ".", ")\""),
        ("map(", ".", ")"),
        ("first(", ".", ")"),
        (". as $x|", ".", ""),
        (".|", ".", ""),
        ("1+", "1", ""),
        ("", ".", "?"),
        (".[", "0", "]"),
        ("def f: ", ".", ";f"),
        ("reduce ", ".", " as $x (0;.)"),
    ] {
        deep(open, inner, close);
    }
}

#[test]
fn a_record_of_the_worst_shape_is_refused_or_filtered_within_the_bounds() {
    let nested = format!("{}1{}", "[".repeat(127), "]".repeat(127));
    assert_eq!(first(".", &nested).unwrap().as_deref(), Some("array"));
    assert!(first("tostring", &nested).unwrap().is_some());
    let wide = format!(r#"{{"a":[{}1],"b":"x"}}"#, "1,".repeat(200_000));
    let each = first(".a[] | select(. == 2)", &wide);
    assert!(matches!(each, Err(Problem::TooLargeToFilter { values: 200_004 })), "{each:?}");
    // The same record, and a filter that looks at one member of it.
    assert_eq!(first(".b", &wide).unwrap().as_deref(), Some("x"));
    // A filter that goes through all pairs takes records of a few hundred values, and no larger ones.
    let pairs = ".a as $all | [.a[] | . as $x | $all[] | select(. == $x)] | length";
    let of = |count: usize| first(pairs, &format!(r#"{{"a":[{}1]}}"#, "1,".repeat(count)));
    assert_eq!(of(50).unwrap().as_deref(), Some("2601"));
    assert!(matches!(of(5_000), Err(Problem::TooLargeToFilter { .. })));
    // One long text, named again and again.
    let long = format!(r#"{{"t":"{}","a":[{}1]}}"#, "x".repeat(200_000), "1,".repeat(300));
    let copies = first(r#". as $all | [.a[] | $all.t + "y"] | join("")"#, &long);
    assert!(matches!(copies, Err(Problem::TooLargeToFilter { .. })), "{copies:?}");
}

#[test]
fn the_functions_are_listed_in_order_and_each_can_be_called() {
    assert!(functions::FUNCTIONS.is_sorted_by_key(|(name, count, _)| (*name, *count)));
    for (name, count, _) in functions::FUNCTIONS {
        let call = if *count == 0 { (*name).to_owned() } else { format!("{name}(.)") };
        assert!(filter(&call).is_ok(), "{call}: {:?}", filter(&call).err());
    }
}
