//! Templates of format strings.

use super::*;

/// Values with these names or hints: `name=` or `hint`.
fn given(values: &[&str]) -> Vec<Given> {
    let given = values.iter().map(|value| match value.strip_suffix('=') {
        Some(name) => Given {
            name: Some(name.to_owned()),
            hint: Some(name.to_owned()),
        },
        None => Given {
            name: None,
            hint: (!value.is_empty()).then(|| (*value).to_owned()),
        },
    });
    given.collect()
}

#[test]
fn every_way_to_say_a_position_becomes_a_name() {
    for (format, values, template, fields) in [
        ("nothing", &[][..], "nothing", &[][..]),
        ("{{{x}}}", &[], "{{{x}}}", &["x:0"]),
        ("{} {}", &["a", "b"], "{a} {b}", &["a:0", "b:1"]),
        ("{1} {0} {1}", &["a", "b"], "{b} {a} {b}", &["b:1", "a:0"]),
        (
            "{} {n} {m}",
            &["a", "n="],
            "{a} {n} {m}",
            &["a:0", "n:1", "m:2"],
        ),
        ("{} {}", &["id", "id"], "{id} {id2}", &["id:0", "id2:1"]),
        ("{} {}", &["", ""], "{arg0} {arg1}", &["arg0:0", "arg1:1"]),
        ("{} {arg1}", &[""], "{arg0} {arg1}", &["arg0:0", "arg1:1"]),
        ("{x} {x:#x} {x}", &[], "{x} {x2:#x} {x}", &["x:0", "x2:0"]),
        ("{_x} {größe}", &[], "{x} {arg1}", &["x:0", "arg1:1"]),
        ("{:>1$}", &["a", "w"], "{a:>w$}", &["a:0", "w:count"]),
        ("{:.*}", &["p", "a"], "{a:.p$}", &["a:1", "p:count"]),
        ("{:1$.*}", &["p", "a"], "{a:a$.p$}", &["a:count", "p:count"]),
        ("{type} {self}", &[], "{type} {self}", &["type:0", "self:1"]),
        (
            "{:w$.p$} {w}",
            &["a"],
            "{a:w$.p$} {w}",
            &["a:0", "w:count", "p:count"],
        ),
        ("{w} {a:w$}", &[], "{w} {a:w$}", &["w:count", "a:1"]),
        (
            "{:08.3e}{:?}",
            &["a", "b"],
            "{a:08.3e}{b:?}",
            &["a:0", "b:1"],
        ),
    ] {
        let found = Template::new(format, &given(values)).expect(format);
        assert_eq!(found.text, template, "{format}");
        let shown: Vec<_> = found
            .fields
            .iter()
            .map(|field| match field.format {
                Some(_) => format!("{}:{}", field.name, field.value),
                None => format!("{}:count", field.name),
            })
            .collect();
        assert_eq!(shown, fields, "{format}");
    }
}

#[test]
fn values_are_formatted_where_they_stand_as_they_were_to_be() {
    for (format, values, literal, counts) in [
        ("{}", &["a"][..], "{0}", &[][..]),
        ("{1:é^#10.3?}", &["a", "b"], "{0:é^#10.3?}", &[]),
        ("{:w$.p$}", &["a"], "{0:1$.2$}", &[1, 2]),
        ("{:.*}", &["p", "a"], "{0:.1$}", &[0]),
        ("{a:b$}", &["a=", "b="], "{0:1$}", &[1]),
    ] {
        let found = Template::new(format, &given(values)).expect(format);
        let format = found.fields[0].format.as_ref().expect("a value");
        assert_eq!(format.literal, literal);
        assert_eq!(format.counts, counts);
    }
}

#[test]
fn what_the_compiler_will_refuse_is_left_to_it() {
    for (format, values) in [
        ("{", &[][..]),
        ("}", &[]),
        ("{}", &[]),
        ("{1}", &["a"]),
        ("{:1$}", &["a"]),
        ("{:.*}", &["a"]),
        ("{:q}", &["a"]),
        ("{crate}", &[]),
        ("{👍}", &[]),
    ] {
        let refused = Template::new(format, &given(values)).map(|found| found.text);
        assert_eq!(refused, Err(Refused), "{format}");
    }
}
