//! One bad file per rule of the configuration, and the reason it must be given.

use patchcord::config::Config;

/// One row per rule: a file, the key that is refused, and a word of the reason.
const REFUSED: &[(&str, &str, &str)] = &[
    ("server = 1", "server", "a whole number"),
    ("[server]\nid = \"\"", "server.id", "empty"),
    ("[server]\ndrain = 30", "server.drain", "a whole number"),
    ("[server]\ndrain = \"soon\"", "server.drain", "duration"),
    ("[log]\nlevel = \"loud\"", "log.level", "unknown level"),
    ("[log]\nlevel = \"a=b=c\"", "log.level", ""),
    ("[log]\nformat = \"xml\"", "log.format", "unknown format"),
    ("[log]\nwire = \"all\"", "log.wire", ""),
    ("[http]\nlisten = \"localhost:80\"", "http.listen", "not an address"),
    ("[http]\nlisten = \"0.0.0.0:8080\"", "http.listen", "who may come in"),
    ("[http]\nlisten = \"[::ffff:10.0.0.1]:80\"", "http.listen", "who may come in"),
    ("[http]\nws_bot = \"nobody\"", "http.ws_bot", "no bot"),
    ("[http]\naccept_from = [\"10.0.0.0/40\"]", "http.accept_from[0]", "not a network"),
    ("[http]\ntls = {}", "http.tls", "not in this version"),
    ("[[http.keys]]\nname = \"ops\"", "http.keys", "not in this version"),
    ("[sip]\nlisten = []", "sip.listen", "no SIP socket"),
    ("[sip]\nlisten = \"udp:127.0.0.1:5060\"", "sip.listen", "a string"),
    ("[sip]\nlisten = [\"ws:127.0.0.1:5061\"]", "sip.listen[0]", "not in this version"),
    ("[sip]\nlisten = [\"tls:127.0.0.1:5061\"]", "sip.listen", "needs a certificate"),
    ("[sip.tls]\ncert = \"a.pem\"", "sip.tls.key", "is missing"),
    ("[sip.tls]\nca = \"a.pem\"", "sip.tls.cert", "is missing"),
    ("[sip]\nlocal_networks = [\"10.0.0.0/40\"]", "sip.local_networks[0]", "not a network"),
    ("[sip]\nmin_se = \"89s\"", "sip.min_se", "below 90 s"),
    ("[sip]\nmin_se = \"20m\"\nsession_expires = \"15m\"", "sip.session_expires", "below sip.min_se"),
    ("[sip]\nlisten = [\"udp:0.0.0.0:5060\"]", "sip.listen", "who may call"),
    ("[sip]\nexternal_ip = \"0.0.0.0\"", "sip.external_ip", "not an address"),
    ("[sip]\nrtp_ports = \"9-8\"", "sip.rtp_ports", "range of ports"),
    ("[sip]\ncodecs = [\"PCMU\", \"PCMU\"]", "sip.codecs", "twice"),
    ("[sip]\ncodecs = [\"G729\"]", "sip.codecs[0]", "G729"),
    ("[[trunks]]\nname = \"x\"", "trunks[0].accept_from", "missing"),
    ("[[trunks]]\nname = \"x\"\naccept_from = []", "trunks[0].accept_from", "means nobody"),
    ("[[trunks]]\nname = \"x\"\nhost = \"sip.example.com\"", "trunks[0].host", "not in this version"),
    (
        "[[trunks]]\nname = \"x\"\naccept_from = [\"10.0.0.1\"]\n[[trunks]]\nname = \"x\"\naccept_from = [\"10.0.0.2\"]",
        "trunks[1].name",
        "already",
    ),
    (
        "[[trunks]]\nname = \"x\"\naccept_from = [\"10.0.0.1\"]\n[[trunks]]\nname = \"y\"\naccept_from = [\"10.0.0.1\"]",
        "trunks[1].accept_from",
        "stands here again",
    ),
    (
        "[[numbers]]\nnumber = \"1\"\nbot = \"echo\"\nearly_media = \"yes\"",
        "numbers[0].early_media",
        "a string",
    ),
    ("[[extensions]]\nnumber = \"1\"", "extensions", "not in this version"),
    ("[flows.x]\nsteps = []", "flows", "not in this version"),
    ("[callbacks]\nurl = \"x\"", "callbacks", "not in this version"),
    ("[storage]\ndatabase = \"x\"", "storage", "not in this version"),
    ("[egress]\nallow_private = \"yes\"", "egress.allow_private", "a string"),
    ("[egress]\nallow = [\"10.0.0.0/40\"]", "egress.allow[0]", "not a network"),
    ("[[numbers]]\nbot = \"echo\"", "numbers[0].number", "missing"),
    ("[[numbers]]\nnumber = \"1\"", "numbers[0].bot", "missing"),
    (
        "[[numbers]]\nnumber = \"1\"\nbot = \"echo\"\nconfig_api = \"http://h/\"",
        "numbers[0].bot",
        "both take the calls",
    ),
    ("[[numbers]]\nnumber = \"1\"\nconfig_api = \"ws://h/\"", "numbers[0].config_api", "begin with http"),
    (
        "[[numbers]]\nnumber = \"1\"\nconfig_api = \"http://h/\"\nconfig_api_headers = { Host = \"x\" }",
        "numbers[0].config_api_headers.Host",
        "belongs to the connection",
    ),
    (
        "[[numbers]]\nnumber = \"1\"\nbot = \"echo\"\nflow_id = \"f\"",
        "numbers[0].flow_id",
        "only a number with",
    ),
    (
        "[[numbers]]\nnumber = \"1\"\nconfig_api = \"http://h/\"\nconfig_api_sip_headers = 1",
        "numbers[0].config_api_sip_headers",
        "a whole number",
    ),
    (
        "[bots.config_api]\nurl = \"ws://h/\"\ndialect = \"ozonetel\"",
        "bots.config_api",
        "a meaning of its own",
    ),
    ("[sip]\nheaders = [\"From\"]", "sip.headers[0]", "own header fields"),
    ("[[numbers]]\nnumber = \"1 2\"\nbot = \"echo\"", "numbers[0].number", "not a number"),
    (
        "[[numbers]]\nnumber = \"1\"\nbot = \"echo\"\nfallback = \"cry\"",
        "numbers[0].fallback",
        "unknown fallback",
    ),
    (
        "[[numbers]]\nnumber = \"1\"\nbot = \"echo\"\nfallback = \"flow:x\"",
        "numbers[0].fallback",
        "not in this",
    ),
    ("[[numbers]]\nnumber = \"1\"\nflow = \"x\"\nbot = \"echo\"", "numbers[0].flow", "not in this version"),
    (
        "[[numbers]]\nnumber = \"9*\"\nbot = \"echo\"\n[[numbers]]\nnumber = \"91\"\nbot = \"dtmf\"",
        "numbers[1].number",
        "takes these calls already",
    ),
    ("[[numbers]]\nnumber = \"1\"\nbot = \"echo\"\ncountry = 91", "numbers[0].country", "a whole number"),
    ("[[numbers]]\nnumber = \"1\"\nbot = \"echo\"\ncountry = \"+91\"", "numbers[0].country", "calling code"),
    ("[numbers]\nnumber = \"1\"", "numbers", "a table"),
    ("[sip]\nsrtp = \"on\"", "sip.srtp", "unknown value"),
    ("[bots.a]\ndialect = \"ozonetel\"", "bots.a.url", "missing"),
    ("[bots.a]\nurl = \"ws://h/\"", "bots.a.dialect", "missing"),
    ("[bots.a]\nurl = \"ws://u:p@h/\"\ndialect = \"ozonetel\"", "bots.a.url", "user name"),
    ("[bots.a]\nurl = \"ws://h/\"\ndialect = \"twilio\"", "bots.a.dialect", "not in this version"),
    ("[bots.a]\nurl = \"ws://h/\"\ndialect = \"custom\"", "bots.a.mapping", "needs a mapping"),
    (
        "[bots.a]\nurl = \"ws://h/\"\ndialect = \"custom\"\nmapping = {}",
        "bots.a.mapping.messageType",
        "missing",
    ),
    (
        "[bots.a]\nurl = \"ws://h/\"\ndialect = \"custom\"\nmapping = { inputTemplate = '{\"a\":\"{{audoi}}\"}' }",
        "bots.a.mapping.inputTemplate",
        "column 7 of the text: unknown placeholder {{audoi}}",
    ),
    (
        "[bots.a]\nurl = \"ws://h/\"\ndialect = \"custom\"\nmapping = { messageType = \"binary\", inputtemplate = \"\" }",
        "bots.a.mapping.inputtemplate",
        "unknown key",
    ),
    (
        "[bots.a]\nurl = \"ws://h/\"\ndialect = \"ozonetel\"\nmapping = { messageType = \"binary\" }",
        "bots.a.mapping",
        "only custom",
    ),
    (
        "[[listeners]]\nlisten = \"127.0.0.1:4143\"\ndialect = \"custom\"\nbot = \"echo\"",
        "listeners[0].mapping",
        "needs a mapping",
    ),
    (
        "[[listeners]]\nlisten = \"127.0.0.1:4143\"\ndialect = \"ozonetel\"\nbot = \"echo\"\naudio = { encoding = \"x\" }",
        "listeners[0].audio.encoding",
        "encoding",
    ),
    ("[bots.\"a b\"]\nurl = \"ws://h/\"\ndialect = \"ozonetel\"", "bots.a b", "not a name"),
    ("[ivr]\nkeys = { 12 = \"echo\" }", "ivr.keys.12", "not a key"),
    ("[ivr]\nkeys = { \"*\" = \"echo\" }", "ivr.keys.*", "prompt again"),
    ("[ivr]\nkeys = { 1 = \"ivr\" }", "ivr.keys.1", "itself"),
    ("[ivr]\nkeys = { 1 = \"sails\" }", "ivr.keys.1", "there is no bot"),
    ("[ivr]\nkeys = {}", "ivr.keys", "without keys"),
    ("[ivr]\nkeys = { 1 = 2 }", "ivr.keys.1", "a whole number stands"),
    ("[bots.parrot]\nurl = \"ws://h/\"\ndialect = \"ozonetel\"", "bots.parrot", "built-in"),
    (
        "[bots.a]\nurl = \"ws://h/\"\ndialect = \"ozonetel\"\nquiet = true",
        "bots.a.quiet",
        "only ivr-solutions",
    ),
    ("[bots.a]\nurl = \"ws://h/\"\ndialect = \"ozonetel\"\ncdr = true", "bots.a.cdr", "only incoming-call"),
    (
        "[bots.a]\nurl = \"ws://h/\"\ndialect = \"ozonetel\"\non_transfer = \"hold\"",
        "bots.a.on_transfer",
        "not in",
    ),
    (
        "[bots.a]\nurl = \"ws://h/\"\ndialect = \"ozonetel\"\nheaders = { Sec-X = \"1\" }",
        "bots.a.headers.Sec-X",
        "belongs to the connection",
    ),
    (
        "[bots.a]\nurl = \"ws://h/\"\ndialect = \"ozonetel\"\nheaders = { X = \"a\\r\\nY: 1\" }",
        "bots.a.headers.X",
        "line break",
    ),
    (
        "[bots.a]\nurl = \"ws://h/\"\ndialect = \"smartpbx\"\naudio = { encoding = \"opus\", frame = \"40ms\" }",
        "bots.a.audio.frame",
        "packets of 20ms",
    ),
    (
        "[bots.a]\nurl = \"ws://h/\"\ndialect = \"ivr-solutions\"\naudio = { encoding = \"base64\" }",
        "bots.a.audio.encoding",
        "possible are pcm",
    ),
    (
        "[bots.a]\nurl = \"ws://h/\"\ndialect = \"smartpbx\"\naudio = { sample_rate = 16000 }",
        "bots.a.audio.sample_rate",
        "16000",
    ),
    (
        "[bots.a]\nurl = \"ws://h/\"\ndialect = \"ozonetel\"\naudio = { frame = \"25ms\" }",
        "bots.a.audio.frame",
        "frame",
    ),
    ("[bots.a]\nimport = \"absent.json\"", "bots.a.import", "cannot be read"),
    (
        "[[listeners]]\nlisten = \"0.0.0.0:4143\"\ndialect = \"ozonetel\"\nbot = \"echo\"",
        "listeners[0].listen",
        "who may come in",
    ),
    (
        "[[listeners]]\nlisten = \"127.0.0.1:8080\"\ndialect = \"ozonetel\"\nbot = \"echo\"",
        "listeners[0].listen",
        "http.listen already",
    ),
    (
        "[[listeners]]\nlisten = \"0.0.0.0:8080\"\ndialect = \"ozonetel\"\nbot = \"echo\"\ntoken = \"t\"",
        "listeners[0].listen",
        "overlaps with 127.0.0.1:8080, the address of http.listen already",
    ),
    (
        "[sip]\nlisten = [\"udp:127.0.0.1:5060\", \"udp:127.0.0.1:5060\"]",
        "sip.listen[1]",
        "sip.listen[0] already",
    ),
    ("[sip]\nlisten = [\"tcp:127.0.0.1:8080\"]", "sip.listen[0]", "http.listen already"),
    ("[http]\naccept_from = [\"::ffff:10.0.0.0/90\"]", "http.accept_from[0]", "more than the IPv4"),
    ("[server]\nid = \"${ABSENT}\"", "server.id", "ABSENT"),
    ("[server]\nid = delhi", "", "not TOML"),
    ("[server]\nid = 1.5", "server.id", "a fraction"),
];

#[test]
fn every_rule_refuses_its_bad_file() {
    for (text, key, reason) in REFUSED {
        let Err(problems) = Config::parse(text) else { panic!("accepted: {text}") };
        let found = problems.0.iter().any(|problem| problem.key == *key && problem.what.contains(reason));
        assert!(found, "{text}\nexpected {key}: …{reason}…, found:\n{problems}");
    }
}
