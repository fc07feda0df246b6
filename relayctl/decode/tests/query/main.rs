//! Queries: what each operator says of a record, what is wrong with expressions, and whatever else
//! can be written, compared with a plain reading of the same.

mod made;
mod oracle;
mod wrong;

use made::{Made, holds};
use proptest::prelude::*;
use relay_decode::query::Query;

/// What each operator says of one record.
#[test]
fn every_operator_compares() {
    let record = Made::sample();
    for (expr, wanted) in [
        // Numbers.
        ("lba == 200", true),
        ("lba == 0xc8", true),
        ("lba == 0o310", true),
        ("lba == 0b11001000", true),
        ("lba != 200", false),
        ("lba < 201", true),
        ("lba < 200", false),
        ("lba <= 200", true),
        ("lba > 199", true),
        ("lba > 200", false),
        ("lba >= 200", true),
        ("lba > 199.5", true),
        ("lba > 200.5", false),
        ("lba > -1", true),
        ("code == -5", true),
        ("code < -4.5", true),
        ("ratio == 0.1", true),
        ("ratio > 1e-3", true),
        ("ratio >= 1", false),
        ("single == 0.1", true),
        ("single != 0.1", false),
        ("field.cpu == 7", true),
        ("cpu == 7", false),
        // Bits.
        ("lba & 0x8", true),
        ("lba & 0x7", false),
        ("flags & WRITE", true),
        ("flags & 0x4", false),
        ("flags & sync", false),
        // Texts.
        ("name == \"sda \\\"1\\\"\"", true),
        ("name == \"SDA \\\"1\\\"\"", false),
        ("name != \"sdb\"", true),
        ("name =~ \"^sd[a-c]\"", true),
        ("name =~ \"^sd[d-f]\"", false),
        ("name !~ \"^sd[d-f]\"", true),
        ("name =~ \"\\\"\\d\\\"$\"", true),
        ("name contains \"da\"", true),
        ("name contains \"DA\"", false),
        ("name contains DA", true),
        ("path == \"/dev/gr\\u{fc}n\"", true),
        ("letter == x", true),
        // Names of values, and bits.
        ("state == Run", true),
        ("state == run", true),
        ("state == \"run\"", false),
        ("state != Idle", true),
        ("state == 1", true),
        ("state > 0", true),
        ("state =~ \"^R\"", true),
        ("state == nothing", false),
        ("state != nothing", false),
        ("flags == WRITE", false),
        ("flags == 3", true),
        ("flags contains WRITE", true),
        ("flags contains SYNC", false),
        ("dirty == true", true),
        ("dirty != true", false),
        ("dirty == 1", true),
        // What is within others.
        ("inner.x == 3", true),
        ("inner.y.z == -1", true),
        ("inner.z == 3", false),
        ("list[1] == 20", true),
        ("list[2] == 20", false),
        ("list contains 20", true),
        ("list contains 30", false),
        ("bytes[0] == 0xff", true),
        ("bytes contains 255", true),
        ("names contains \"two\"", true),
        ("names contains \"tw\"", false),
        ("names[0] == one", true),
        ("maybe == 9", true),
        ("maybe != 9", false),
        // What is not there, or of another kind, is neither equal nor unequal.
        ("maybe_not == 9", false),
        ("maybe_not != 9", false),
        ("!(maybe_not == 9)", true),
        ("unknown == 1", false),
        ("unknown != 1", false),
        ("unknown !~ \"x\"", false),
        ("name < 5", false),
        ("lba == \"200\"", false),
        ("lba != \"200\"", false),
        ("lba.x == 200", false),
        ("lba[0] == 200", false),
        ("list == 10", false),
        ("name[0] == 10", false),
        // Attributes.
        ("severity == error", true),
        ("severity == ERR", true),
        ("severity == \"ERROR\"", true),
        ("severity == 3", true),
        ("severity >= warning", true),
        ("severity > warning", true),
        ("severity > error", false),
        ("severity <= error", true),
        ("severity < crit", true),
        ("severity != error", false),
        ("facility == disk", true),
        ("facility == \"disk\"", true),
        ("facility =~ \"^d\"", true),
        ("channel == \"trace\"", true),
        ("channel != klog", true),
        ("event == disk_error", true),
        ("event contains \"err\"", true),
        ("module == \"kernel::disk\"", true),
        ("module =~ \"^kernel(::|$)\"", true),
        ("file == \"disk.rs\"", true),
        ("line == 57", true),
        ("line & 1", true),
        ("line > 57", false),
        ("cpu == 2", true),
        ("cpu < 2", false),
        ("cpu & 2", true),
        ("context == irq", true),
        ("context != task", true),
        ("context == \"IRQ\"", true),
        ("number == 12", true),
        ("packet >= 3", true),
        ("msg == \"lba 200 timed out after 1500 us\"", true),
        ("msg =~ \"tim(e|ed) out\"", true),
        ("msg !~ \"tim(e|ed) out\"", false),
        ("msg contains \"timed\"", true),
        // Times: 2611200 ticks are a millisecond.
        ("time == 1ms", true),
        ("time >= 1ms", true),
        ("time > 1ms", false),
        ("time > 999.999us", true),
        ("time < 1.001ms", true),
        ("time <= 1000000ns", true),
        ("time != 1ms", false),
        ("since == 2ms", true),
        ("since < 1s", true),
        ("lba < 1s", false),
        // Together.
        ("lba == 1 || lba == 200", true),
        ("lba == 200 && code == 1", false),
        ("!lba == 1", true),
        ("!!lba == 200", true),
        ("!lba == 200 || code == -5", true),
        ("!(lba == 200 || code == -5)", false),
        ("lba == 1 && code == 1 || state == run", true),
        ("lba == 1 && (code == 1 || state == run)", false),
        (
            "severity >= warning && facility == \"disk\" && lba > 100 && msg =~ \"tim(e|ed) out\"",
            true,
        ),
        ("\tlba==200&&code==-5\n", true),
    ] {
        let query: Query = expr
            .parse()
            .unwrap_or_else(|error| panic!("{expr}: {error}"));
        assert_eq!(holds(&query, &record), wanted, "{expr}");
        let again: Query = query
            .to_string()
            .parse()
            .expect("what is written can be read");
        assert_eq!(again, query, "{expr}");
    }
}

/// A line of the log says by its fields what others say by their class.
#[test]
fn lines_of_the_log_have_attributes_of_their_own() {
    let line = |expr: &str| {
        let query: Query = expr
            .parse()
            .unwrap_or_else(|error| panic!("{expr}: {error}"));
        made::line_holds(&query)
    };
    for (expr, wanted) in [
        ("severity == warn", true),
        ("severity >= error", false),
        ("field.severity == WARN", true),
        ("field.severity == 4", true),
        ("module == \"kernel::x\"", true),
        ("file =~ \"^x\"", true),
        ("line == 7 && field.line == 7", true),
        ("msg == \"hello\"", true),
        ("message == \"hello\"", true),
        ("facility == x", false),
        ("facility != x", false),
        ("channel == klog", true),
    ] {
        assert_eq!(line(expr), wanted, "{expr}");
    }
}

/// What no record has is told.
#[test]
fn unknown_fields_are_told() {
    let schema = made::schema();
    let unknown = |expr: &str| {
        let query: Query = expr
            .parse()
            .unwrap_or_else(|error| panic!("{expr}: {error}"));
        query.unknown_fields(&schema)
    };
    assert!(unknown("lba == 1 && cpu == 2 && message == x").is_empty());
    assert_eq!(
        unknown("lbaa == 1 || !(lbaa.x == 1 && codes == 2)"),
        ["lbaa", "codes"]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// What is written and read again is the same, and it is true of the same records as a plain
    /// reading says; also before the fields are read, if that can be said then.
    #[test]
    fn an_expression_is_what_it_says(expr in oracle::expr(), record in oracle::record()) {
        let text = expr.to_string();
        // A name that is no severity, for example.
        let Ok(query) = text.parse::<Query>() else {
            prop_assert!(!oracle::is_sound(&expr), "{text}");
            return Ok(());
        };
        prop_assert_eq!(query.expr(), &expr, "{}", text);
        prop_assert_eq!(holds(&query, &record), oracle::holds(&expr, &record), "{}", text);
    }

    /// Whatever is written, it is read or refused, and the place of what is wrong is in it.
    #[test]
    fn anything_can_be_written(
        text in "([a-c!&|()=<>~. \"\\\\0-9-]|msg|cpu|==|severity|warn|time|2ms|\\PC){0,40}"
    ) {
        match text.parse::<Query>() {
            Ok(query) => {
                let again: Result<Query, _> = query.to_string().parse();
                prop_assert_eq!(again.as_ref(), Ok(&query));
                holds(&query, &Made::sample());
            }
            Err(error) => {
                prop_assert!(text.is_char_boundary(error.offset()));
                prop_assert_eq!(error.to_string().lines().count(), 4);
            }
        }
    }
}
