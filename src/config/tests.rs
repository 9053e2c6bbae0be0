//! Tables over the whole of `Config::load`: precedence, unknown names, problems together, documentation that reads back.
use std::collections::HashSet;
use std::path::PathBuf;

use super::*;

/// Loads a file's text, variables and flags, all given as text.
fn load(file: &str, environment: &[(&str, &str)], flags: &[(&str, &[&str])]) -> Result<Config, String> {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let path = folder.path().join("strata.toml");
    std::fs::write(&path, file).expect("the temporary directory takes a file");
    let variables = environment.iter().map(|(name, text)| (OsString::from(name), OsString::from(text)));
    let flags = flags.iter().map(|(flag, values)| {
        let key = KEYS.iter().find(|key| key.flag().as_deref() == Some(flag)).expect("the flag exists");
        (key, values.iter().map(|value| (*value).to_owned()).collect())
    });
    let loaded = Config::load(Some(&path), variables, flags.collect());
    let shown = path.display().to_string();
    loaded.map_err(|problems| problems.to_string().replace(&shown, "strata.toml"))
}

fn refusal(file: &str, environment: &[(&str, &str)]) -> String {
    load(file, environment, &[]).expect_err("a refusal")
}

#[test]
fn flag_before_environment_before_file_before_default() {
    let file = "[storage]\ndata = \"/file\"\nreserve = \"1 GiB\"\nopen-files = 7\n[log]\nformat = \"json\"\n";
    let variables =
        [("STRATA_STORAGE_DATA", "/variable"), ("STRATA_STORAGE_RESERVE", "2 GiB"), ("STRATA_LOG_LEVEL", "")];
    let config = load(file, &variables, &[("data", &["/flag"])]).expect("all is right");
    let storage = &config.settings.storage;
    assert_eq!(storage.data, PathBuf::from("/flag"));
    assert_eq!(storage.reserve.to_string(), "2 GiB");
    assert_eq!(storage.open_files, 7);
    assert_eq!(storage.buffer_memory.to_string(), "64 MiB");
    assert_eq!(config.settings.log.format, LogFormat::Json);
    let shown = config.effective_toml();
    for line in [
        "data = \"/flag\"  # --data",
        "reserve = \"2 GiB\"  # STRATA_STORAGE_RESERVE",
        "buffer-memory = \"64 MiB\"  # default",
        "level = \"info\"  # default",
        "#certificate is not set  # default",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line:?} in\n{shown}");
    }
    assert!(shown.contains("open-files = 7  # ") && shown.contains(".toml:4\n"), "{shown}");
}

#[test]
fn an_unknown_name_is_refused_with_its_place_and_the_nearest_one() {
    let table = [
        (
            "[storage]\nreserv = \"1 GiB\"\n",
            "strata.toml:2: unknown key `storage.reserv`; did you mean `storage.reserve`?",
        ),
        (
            "[http]\nreserve = \"1 GiB\"\n",
            "strata.toml:2: unknown key `http.reserve`; did you mean `storage.reserve`?",
        ),
        ("data = \"/x\"\n", "strata.toml:1: unknown key `data`; did you mean `storage.data`?"),
        ("\n\n[strage]\ndata = \"/x\"\n", "strata.toml:3: unknown table [strage]; did you mean [storage]?"),
        (
            "[blobs]\nlisten = 1\n",
            "strata.toml:1: unknown table [blobs]; the tables are [http], [grpc], [storage], ",
        ),
        ("[grpc]\nlisten = 1\n", "strata.toml:2: grpc.listen: 1 is not a list of addresses"),
        ("[storage]\nzzzzzzzz = 1\n", "not usable: strata.toml:2: unknown key `storage.zzzzzzzz`"),
        ("[http]\nreserv = \"1 GiB\"\n", "unknown key `http.reserv`; did you mean `storage.reserve`?"),
        ("storage = 3\n", "strata.toml:1: `storage` is a table; write [storage]"),
        ("[storage]\n\"buffer memory\" = 3\n", "did you mean `storage.buffer-memory`?"),
        ("storage.data.x = 1\n", "storage.data: a table is not a path"),
    ];
    for (file, part) in table {
        let error = refusal(file, &[]);
        assert!(error.contains(part), "{file:?} gave {error:?}, should contain {part:?}");
    }
}

#[test]
fn a_misspelt_variable_is_refused_and_a_foreign_one_is_left_alone() {
    let table = [
        (
            "STRATA_STORAGE_RESERV",
            "1 GiB",
            "STRATA_STORAGE_RESERV: no setting has this name; did you mean STRATA_STORAGE_RESERVE?",
        ),
        ("STRATA_STORAGE_ZZZZZZZZZZZZZZZZ", "1", "STRATA_STORAGE_ZZZZZZZZZZZZZZZZ: no setting has this name"),
        ("STRATA_HTPP_LISTEN", "x", "did you mean STRATA_HTTP_LISTEN?"),
        ("STRATA_DATA", "/x", "STRATA_DATA: no setting has this name; did you mean STRATA_STORAGE_DATA?"),
        ("STRATA_OPEN", "true", "did you mean STRATA_AUTH_OPEN_TO_NETWORK?"),
        ("STRATA_HTTP_LISTEN", "nonsense", "STRATA_HTTP_LISTEN: \"nonsense\" is not an address"),
    ];
    for (name, text, part) in table {
        let error = refusal("", &[(name, text)]);
        assert!(error.contains(part), "{name} gave {error:?}, should contain {part:?}");
    }
    // A service called `strata-http` in Kubernetes, and the variables of this repository's scripts.
    let foreign = [
        ("STRATA_SERVICE_HOST", "10.0.0.1"),
        ("STRATA_PORT", "tcp://10.0.0.1:5000"),
        ("STRATA_HTTP_SERVICE_HOST", "10.0.0.1"),
        ("STRATA_HTTP_SERVICE_PORT", "5000"),
        ("STRATA_HTTP_SERVICE_PORT_WEB", "5000"),
        ("STRATA_HTTP_PORT", "tcp://10.0.0.1:5000"),
        ("STRATA_HTTP_PORT_5000_TCP_ADDR", "10.0.0.1"),
        ("STRATA_CACHE", "/x"),
        ("STRATA_CONFIG", "/x"),
        ("STRATA_BIN", "/x"),
    ];
    load("", &foreign, &[]).expect("foreign variables are no problem");
}

#[test]
fn everything_wrong_is_reported_at_once() {
    let file = "[storage]\nreserve = 5\nupload-expiry = \"soon\"\nwhat = 1\n[log]\nlevel = \"loud\"\n\
                [http]\nlisten = [\"127.0.0.1:1\", \"x\"]\n[[http.listener]]\naddress = \"y\"\nkye = \"z\"\n";
    let error = refusal(file, &[("STRATA_AUTH_MODE", "closed"), ("STRATA_LOG_FROMAT", "json")]);
    assert!(error.starts_with("the configuration has 9 problems:\n"), "{error}");
    for part in [
        "strata.toml:2: storage.reserve: 5 is not a size",
        "strata.toml:3: storage.upload-expiry: \"soon\" is not a duration",
        "strata.toml:4: unknown key `storage.what`\n",
        "strata.toml:6: log.level: \"loud\" is not a log level",
        "strata.toml:8: http.listen: \"x\" is not an address",
        "strata.toml:10: http.listener: address: \"y\" is not an address",
        "strata.toml:11: http.listener: unknown key `kye`; did you mean `key`?",
        "STRATA_AUTH_MODE: \"closed\" is not one of \"open\"",
        "STRATA_LOG_FROMAT: no setting has this name; did you mean STRATA_LOG_FORMAT?",
    ] {
        assert!(error.contains(part), "{part:?} in\n{error}");
    }
}

#[test]
fn a_file_that_is_not_toml_is_refused_with_the_line() {
    for (file, line) in
        [("[storage\n", 1), ("[storage]\ndata = \n", 2), ("[log]\nlevel='info'\nlevel='warn'\n", 3)]
    {
        let error = refusal(file, &[]);
        assert!(error.contains(&format!("strata.toml:{line}: ")), "{file:?}: {error}");
    }
    let missing =
        Config::load(Some(Path::new("/nowhere/strata.toml")), [], Flags::new()).expect_err("no such file");
    assert!(missing.to_string().contains("cannot read /nowhere/strata.toml: No such file"), "{missing}");
}

#[test]
fn an_address_that_others_reach_needs_the_word_open() {
    for address in ["0.0.0.0:5000", "[::]:5000", "192.0.2.1:5000"] {
        let error = load("", &[], &[("listen", &[address])]).expect_err(address);
        assert!(
            error.contains(address) && error.contains("--open") && error.contains("no accounts"),
            "{error}"
        );
        load("", &[], &[("listen", &[address]), ("open", &["true"])]).expect(address);
    }
    for address in ["127.0.0.1:5000", "[::1]:5000", "127.9.9.9:0", "localhost:5000"] {
        load("", &[], &[("listen", &[address])]).expect(address);
    }
    let table = "[[http.listener]]\naddress = \"0.0.0.0:5000\"\n";
    assert!(refusal(table, &[]).contains("0.0.0.0:5000"));
}

#[test]
fn listeners_are_the_addresses_and_the_tables() {
    let table = "[[http.listener]]\naddress = \"127.0.0.1:2\"\ncertificate = \"c\"\nkey = \"k\"\n";
    let shown = |config: &Config| {
        let one = |listener: &Listener| {
            let private = if listener.scope == ListenerScope::Private { "+private" } else { "" };
            format!("{}{}{private}", listener.address, if listener.tls.is_some() { "+tls" } else { "" })
        };
        config.listeners.iter().map(one).collect::<Vec<_>>().join(" ")
    };
    let cases = [
        (String::new(), "127.0.0.1:5000"),
        (table.to_owned(), "127.0.0.1:2+tls"),
        (format!("[http]\nlisten = [\"127.0.0.1:1\"]\n{table}"), "127.0.0.1:1 127.0.0.1:2+tls"),
        ("[http]\ncertificate = \"c\"\nkey = \"k\"\n".to_owned(), "127.0.0.1:5000+tls"),
        ("[http]\nscope = \"private\"\n".to_owned(), "127.0.0.1:5000+private"),
        (format!("{table}scope = \"private\"\n"), "127.0.0.1:2+tls+private"),
        (
            "[http]\nlisten = \"127.0.0.1:1,127.0.0.1:0,127.0.0.1:0\"\n".to_owned(),
            "127.0.0.1:1 127.0.0.1:0 127.0.0.1:0",
        ),
    ];
    for (file, expected) in cases {
        assert_eq!(shown(&load(&file, &[], &[]).expect(&file)), expected, "{file}");
    }
    for (file, part) in [
        ("[http]\nlisten = []\n", "no address"),
        ("[http]\ncertificate = \"c\"\n", "needs its private key"),
        ("[http]\nkey = \"k\"\n", "needs its certificate"),
        ("[http]\nlisten = [\"127.0.0.1:1\", \"127.0.0.1:1\"]\n", "127.0.0.1:1 is listed twice"),
        (
            "[[http.listener]]\naddress = \"127.0.0.1:1\"\nkey = \"k\"\n",
            "strata.toml:1: http.listener: certificate: is missing",
        ),
        ("[[http.listener]]\n", "address: is missing"),
        (
            "[[http.listener]]\naddress = \"127.0.0.1:1\"\nscope = \"secret\"\n",
            "strata.toml:3: http.listener: scope: \"secret\" is not one of \"public\", \"private\"",
        ),
        ("[http]\nlistener = 3\n", "write [[http.listener]]"),
        ("[http]\nlistener = [3]\n", "3 is not a table"),
    ] {
        let error = refusal(file, &[]);
        assert!(error.contains(part), "{file:?}: {error}");
    }
}

#[test]
fn grpc_listens_as_http_does_and_at_sockets() {
    let shown = |config: &Config| {
        let one = |listener: &super::listener::Listener<strata_transport::address::Address>| {
            let private = if listener.scope == ListenerScope::Private { "+private" } else { "" };
            format!("{}{}{private}", listener.address, if listener.tls.is_some() { "+tls" } else { "" })
        };
        config.grpc_listeners.iter().map(one).collect::<Vec<_>>().join(" ")
    };
    let table = "[[grpc.listener]]\naddress = \"unix:/s\"\n";
    for (file, expected, is_written) in [
        ("", "127.0.0.1:5001", false),
        (table, "unix:/s+private", true),
        ("[[grpc.listener]]\naddress = \"unix:/s\"\nscope = \"public\"\n", "unix:/s", true),
        ("[grpc]\nlisten = [\"127.0.0.1:1\", \"unix:/s\"]\n", "127.0.0.1:1 unix:/s+private", true),
        ("[grpc]\ncertificate = \"c\"\nkey = \"k\"\n", "127.0.0.1:5001+tls", false),
        ("[grpc]\nlisten = \"off\"\n", "", true),
    ] {
        let config = load(file, &[], &[]).expect(file);
        assert_eq!((shown(&config).as_str(), config.is_grpc_written()), (expected, is_written), "{file}");
    }
    let flag = load("", &[], &[("grpc-listen", &["127.0.0.1:7"])]).expect("a flag");
    assert_eq!(shown(&flag), "127.0.0.1:7");
    for (file, part) in [
        ("[grpc]\nlisten = [\"0.0.0.0:5001\"]\n", "0.0.0.0:5001 can be reached from other machines"),
        ("[grpc]\nlisten = [\"127.0.0.1:5000\"]\n", "127.0.0.1:5000 is listed twice"),
        ("[grpc]\nkey = \"k\"\n", "`grpc.key` is set and `grpc.certificate` is not"),
        ("[grpc]\nsocket-mode = \"rwx\"\n", "grpc.socket-mode: \"rwx\" is not permissions"),
        (
            "[[grpc.listener]]\naddress = \"unix:/s\"\ncertificate = \"c\"\nkey = \"k\"\n",
            "unix:/s speaks no TLS",
        ),
        ("[grpc]\nlistener = 3\n", "write [[grpc.listener]]"),
    ] {
        let error = refusal(file, &[]);
        assert!(error.contains(part), "{file:?}: {error}");
    }
}

#[test]
fn bounds_are_checked() {
    for (name, value, part) in [
        ("STRATA_STORAGE_BUFFER_MEMORY", "1 MiB", "at least 8 MiB"),
        ("STRATA_STORAGE_METADATA_MEMORY", "0", "at least 8 MiB"),
        ("STRATA_STORAGE_UPLOAD_EXPIRY", "0s", "at least 1s"),
        ("STRATA_STORAGE_OPEN_FILES", "0", "at least 1"),
        ("STRATA_STORAGE_IO_THREADS", "2000", "at most 1024"),
        ("STRATA_HTTP_MAX_CONNECTIONS", "0", "at least 1"),
        ("STRATA_HTTP_HEADER_SIZE", "1 KiB", "at least 8 KiB"),
        ("STRATA_HTTP_HEADER_SIZE", "1 MiB", "at most 256 KiB"),
        ("STRATA_HTTP_BODY_STALL", "0s", "at least 1s"),
        ("STRATA_HTTP_EXTERNAL_URL", "registry.example", "https://registry.example"),
        ("STRATA_HTTP_EXTERNAL_URL", "https://", "write scheme and host"),
        ("STRATA_HTTP_EXTERNAL_URL", "https://a b", "write scheme and host"),
    ] {
        let error = refusal("", &[(name, value)]);
        assert!(error.contains(part), "{name}: {error}");
    }
}

#[test]
fn names_are_distinct_and_never_those_of_kubernetes() {
    let (mut flags, mut variables) = (HashSet::new(), HashSet::new());
    for key in KEYS {
        assert!(!key.doc.is_empty() && key.doc.iter().all(|line| line.starts_with(' ')), "{}", key.dotted());
        let Some((flag, variable)) = key.flag().zip(key.environment()) else { continue };
        assert!(!variable.contains("_PORT") && !variable.contains("_SERVICE_"), "{variable}");
        assert!(flags.insert(flag), "{}", key.dotted());
        assert!(variables.insert(variable), "{}", key.dotted());
    }
}

#[test]
fn defaults_and_examples_read_back() {
    let default = default_toml();
    load(&default, &[], &[]).expect("the default file as printed");
    let is_key = |line: &str| line.starts_with('#') && !line.starts_with("# ");
    let uncomment = |line| if is_key(line) { line.trim_start_matches('#') } else { line };
    let uncommented = default.lines().map(uncomment).collect::<Vec<_>>().join("\n");
    let config = load(&uncommented, &[], &[]).expect(&uncommented);
    assert_eq!(config.settings.http.listener.len(), 1, "the example of http.listener");
    for key in KEYS {
        let (origin, value) = config.layers.effective(key);
        assert!(matches!(origin, value::Origin::File(_)), "{} stands in the default file", key.dotted());
        if let Some(default) = reference::default_of(key) {
            assert_eq!((key.canonical)(&value), Some(default), "{}", key.dotted());
        }
    }
    let shown = load("", &[], &[]).expect("defaults").effective_toml();
    let again = load(&shown, &[], &[]).expect(&shown);
    assert_eq!(again.settings, load("", &[], &[]).expect("defaults").settings);
}

#[test]
fn documentation_equals_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/config.md");
    let generated = markdown();
    if std::env::var_os("STRATA_WRITE_DOCS").is_some() {
        std::fs::write(&path, &generated).expect("docs/config.md can be written");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == generated, "docs/config.md is not what the code says; run `make docs`");
}

#[test]
fn accounts_may_be_reached_from_anywhere_and_tokens_are_short_lived() {
    let address = ("listen", &["0.0.0.0:5000"] as &[&str]);
    load("[auth]\nmode = \"accounts\"\n", &[], &[address]).expect("accounts need no --open");
    for (file, part) in [
        ("[auth]\ntoken-life = \"13h\"\n", "`auth.token-life` is 13h; write 1m to 12h"),
        ("[auth]\ntoken-life = \"0\"\n", "`auth.token-life`"),
        ("[auth]\nrefresh-life = \"30s\"\n", "`auth.refresh-life` is 30s"),
        ("[auth]\nservice = \"a\\\"b\"\n", "`auth.service`"),
        ("[auth]\nservice = \"\"\n", "`auth.service`"),
        (
            "[http]\ntrusted-proxies = [\"10.0.0.0/33\"]\n",
            "strata.toml:2: http.trusted-proxies: \"10.0.0.0/33\" is not a network",
        ),
    ] {
        let error = refusal(file, &[]);
        assert!(error.contains(part), "{file:?}: {error}");
    }
}
