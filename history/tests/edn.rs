//! EDN as Clojure programs print it.

mod common;

use common::{faults, ops, read};
use history::Value;

fn list(items: &[Value]) -> Value {
    Value::list(items.to_vec())
}

fn number(text: &str) -> Value {
    Value::Number(text.into())
}

fn tagged(tag: &str, value: Value) -> Value {
    Value::map(vec![(Value::text(tag), value)]).expect("one key")
}

#[test]
fn everything_that_clojure_prints_is_read() {
    let text = Value::text;
    let int = Value::Int;
    let map = |entries: &[(Value, Value)]| Value::map(entries.to_vec()).expect("keys differ");
    let cases = [
        ("nil", Value::Null),
        ("[true false]", list(&[true.into(), false.into()])),
        (":ns/kw", text("ns/kw")),
        ("::auto", text("auto")),
        ("sym.bol/x'", text("sym.bol/x'")),
        ("-", text("-")),
        ("+x", text("+x")),
        ("(1 (2) [] ())", list(&[int(1), list(&[int(2)]), list(&[]), list(&[])])),
        ("#{3 1 2 #{}}", list(&[int(1), int(2), int(3), list(&[])])),
        ("#{:b :a}", list(&[text("a"), text("b")])),
        ("[1 2]", list(&[int(1), int(2)])),
        ("[1,2,]", list(&[int(1), int(2)])),
        ("[1 2 3]", list(&[int(1), int(2), int(3)])),
        ("[1 nil]", list(&[int(1), Value::Null])),
        ("[-1 +2]", list(&[int(-1), int(2)])),
        ("{:b 1, 0 {\"a\" nil}}", map(&[(int(0), map(&[(text("a"), Value::Null)])), (text("b"), int(1))])),
        (r#""é\u00e9\n\t\"\\\r\b\f\o101\ud83d\ude00""#, text("éé\n\t\"\\\r\u{8}\u{c}A😀")),
        ("\"two\nlines ; no comment\"", text("two\nlines ; no comment")),
        (
            r"[\c \newline \space \u00e9 \o101 \( \\ \tab \é]",
            list(&["c", "\n", " ", "é", "A", "(", "\\", "\t", "é"].map(text)),
        ),
        (
            "[1N 2.5M 1e3 1/3 ##Inf ##-Inf ##NaN]",
            list(&[
                int(1),
                number("2.5"),
                number("1e3"),
                number("1/3"),
                number("##Inf"),
                number("##-Inf"),
                number("##NaN"),
            ]),
        ),
        ("[0x1a -0x1A 017 2r101 36rZ 0 -0]", list(&[26, -26, 15, 5, 35, 0, 0].map(int))),
        ("[9223372036854775807 -9223372036854775808]", list(&[int(i64::MAX), int(i64::MIN)])),
        (
            "[9223372036854775808 123456789012345678901N]",
            list(&[number("9223372036854775808"), number("123456789012345678901")]),
        ),
        ("[-1.5 +1.5 1. 6.02E+23]", list(&["-1.5", "1.5", "1.", "6.02E+23"].map(number))),
        ("{:a 1 #_ :b #_ 2}", map(&[(text("a"), int(1))])),
        ("[1 #_#_ 2 3 4 #_(5)]", list(&[int(1), int(4)])),
        ("^{:m 1} [1]", list(&[int(1)])),
        ("^:k ^String [1]", list(&[int(1)])),
        ("#^:old x", text("x")),
        ("#:foo{:a 1, :_/b 2, :c/d 3, \"e\" 4}", {
            let key = |name, value| (text(name), int(value));
            map(&[key("foo/a", 1), key("b", 2), key("c/d", 3), key("e", 4)])
        }),
        ("#::foo{:a 1}", map(&[(text("foo/a"), int(1))])),
        ("#inst \"2024-01-01\"", tagged("#inst", text("2024-01-01"))),
        (
            "#knossos.model.Inconsistent{:msg \"474≠471\"}",
            tagged("#knossos.model.Inconsistent", map(&[(text("msg"), text("474≠471"))])),
        ),
        (
            "#object[java.lang.Foo 0x1a \"x\"]",
            tagged("#object", list(&[text("java.lang.Foo"), int(26), text("x")])),
        ),
        ("#a #b 1", tagged("#a", tagged("#b", int(1)))),
        (r#"#"a\"b\d+""#, text(r#"a\"b\d+"#)),
        ("#'user/x", text("user/x")),
        ("; one\n, 7 ; two", int(7)),
    ];
    for (edn, value) in cases {
        assert_eq!(Value::from_edn(edn), Ok(value), "{edn}");
    }
}

#[test]
fn what_is_no_value_is_refused_with_its_column() {
    let error = |edn: &str| Value::from_edn(edn).expect_err(edn);
    assert_eq!(error("[1 2"), "column 5: expected a value or `]`, found the end");
    assert_eq!(error("{:a}"), "column 4: expected a value for each key, found `}`");
    assert_eq!(error("1 2"), "column 3: expected nothing more, found `2`");
    assert_eq!(error(""), "column 1: expected a value, found the end");
    for number in ["0x", "2r", "99r1", "2r2", "1e", "1/", "08", "1.2.3", "0x1g", "1NN", "1.5N"] {
        let refused = format!("column 2: expected a number, found `{number}`");
        assert_eq!(error(&format!("[{number}]")), refused);
    }
    assert_eq!(error("[1x]"), "column 2: expected a number, found `1x`");
}

#[test]
fn jepsens_own_lines_are_read() {
    let history = read(
        r#"{:index 0, :time 230542835, :type :invoke, :process 0, :f :write, :value 1}
{:index 962, :time 10267908577, :type :info, :process :nemesis, :f :start, :value nil}
{:index 977, :time 10497140188, :type :info, :process :nemesis, :f :start, :value [:isolated {"n1" #{"n2" "n5" "n3"}, "n4" #{"n2"}}]}
{:type :ok, :f :write, :value 1, :process 0, :time 10565403674, :index 2, :node "n1"}
{:type :invoke, :f :read, :process 14, :time -1}
{:index 9993, :time 101481362834, :type :fail, :process 14, :f :read, :value nil, :error [:duplicate-key "x"], :exception {:via [{:type java.lang.Foo :at [a.b$c invoke "f.clj" 1]}]}}
#jepsen.history.Op{:process 408, :type :invoke, :f :cas, :value [2 0]}
"#,
    );
    assert_eq!(
        ops(&history),
        [
            r#"0 1 P0/0 "write" null 1→1 Ok Unsaid - null "n1" 230542835 10565403674"#,
            r#"2 3 P14/1 "read" null null→null Fail Unsaid - ["duplicate-key","x"] null -9223372036854775808 101481362834"#,
            r#"4 4294967295 P408/2 "cas" null [2,0]→null Info Unsaid - null null -9223372036854775808 -9223372036854775808"#,
        ]
    );
    assert_eq!(
        faults(&history),
        [
            "1 10267908577 start None None null",
            r#"1 10497140188 start None None ["isolated",{"n1":["n2","n3","n5"],"n4":["n2"]}]"#,
        ]
    );
}

#[test]
fn a_function_may_be_any_value_and_a_process_anything() {
    let history = read(
        "[{:process :nemesis :type :info :f nil} {:process [:a 1] :type :info :value 1}
          {:process \"watcher\" :type :invoke :f :look}
          {:process -3, :type :invoke, :f [:x 1]} {:process -3, :type :ok, :f [:x 1], :phase 7, :fault \"?\"}
          {:process 1, :type :invoke, :value [[:r 1 nil]]} {:process 1, :type :ok, :value [[:r 1 2]]}]",
    );
    let text = |op: usize| history.values.get(history.ops[op].f).as_text().map(str::to_string);
    assert_eq!((text(0).as_deref(), text(1).as_deref()), (Some("[x 1]"), Some("txn")));
    assert_eq!(history.processes, [-3, 1]);
    assert_eq!(faults(&history).len(), 3);
}

#[test]
fn lines_are_counted_through_strings_and_comments() {
    let history = read(
        "; one\n[{:process 0, :type :invoke,\n :f :write, :value \"a\n\nb\"}\n\n #_{\n} {:process 0\n:type :ok :f :write}]",
    );
    assert_eq!((history.ops[0].invoke_line, history.ops[0].ret_line), (2, 8));
}
