//! Tables made up here, in all three formats.

use std::path::PathBuf;
use std::sync::Arc;

use ::parquet::arrow::ArrowWriter;
use arrow::array::{
    ArrayRef, BooleanArray, DictionaryArray, Float32Array, Float64Array, Int32Array, Int64Array,
    LargeStringArray, RecordBatch, StringArray,
};
use arrow::datatypes::Int32Type;

use super::*;

fn write(name: &str, content: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    (folder, path)
}

fn write_parquet(columns: Vec<(&str, ArrayRef)>) -> (tempfile::TempDir, PathBuf) {
    let (folder, path) = write("labels.parquet", "");
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, column)| (name, column, true)),
    )
    .unwrap();
    let mut writer =
        ArrowWriter::try_new(File::create(&path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    (folder, path)
}

fn error(name: &str, content: &str) -> String {
    let (folder, path) = write(name, content);
    let text = Dataset::read(&path).unwrap_err().to_string();
    text.replace(&format!("{}/", folder.path().display()), "")
}

fn check(data: &Dataset) {
    let prompts: Vec<_> = data.prompts.iter().map(Text::as_str).collect();
    assert_eq!(prompts, ["first, with \"quotes\"\nand lines", "second"]);
    assert_eq!(data.models, ["m-a", "m-b"]);
    assert_eq!(data.sources, ["s", "unnamed"]);
    let full = Label {
        prompt: 0,
        model: 0,
        source: 0,
        task: 0,
        quality: 0.5,
        input_tokens: Some(7),
        output_tokens: Some(90),
        cost_usd: Some(0.25),
        latency_s: Some(1.5),
        tokens_est: true,
    };
    let bare = Label {
        prompt: 1,
        model: 1,
        source: 1,
        task: 1,
        quality: 1.0,
        input_tokens: None,
        output_tokens: None,
        cost_usd: None,
        latency_s: None,
        tokens_est: false,
    };
    assert_eq!(data.labels, [full, bare, Label { prompt: 0, ..bare }]);
    assert_eq!(data.digest.len(), 64);
}

#[test]
fn csv_and_jsonl_are_read() {
    let csv = "quality,prompt,model,source,task,input_tokens,output_tokens,cost_usd,latency_s,\
        tokens_est,extra\n\
        0.5,\"first, with \"\"quotes\"\"\nand lines\",m-a,s,t,7,90.0,0.25,1.5,True,x\n\
        1,second,m-b,,,,,,,,\n1,\"first, with \"\"quotes\"\"\nand lines\",m-b,,,,,,,,\n";
    let (_folder, path) = write("labels.csv", csv);
    check(&Dataset::read(&path).unwrap());
    let jsonl = r#"{"prompt":"first, with \"quotes\"\nand lines","model":"m-a","source":"s","task":"t","quality":0.5,"input_tokens":7,"output_tokens":90,"cost_usd":0.25,"latency_s":1.5,"tokens_est":true,"extra":[]}

{"prompt":"second","model":"m-b","quality":1,"latency_s":null}
{"prompt":"first, with \"quotes\"\nand lines","model":"m-b","quality":1}"#;
    let (_folder, path) = write("labels.JSONL", jsonl);
    check(&Dataset::read(&path).unwrap());
}

#[test]
fn parquet_is_read_whatever_its_number_and_string_types() {
    let long = "first, with \"quotes\"\nand lines";
    let prompts = vec![long, "second", long];
    let models = vec!["m-a", "m-b", "m-b"];
    let names: Vec<Option<&str>> = vec![Some("s"), None, None];
    let one = |it| vec![Some(it), None, None];
    let small: Vec<(&str, ArrayRef)> = vec![
        ("prompt", Arc::new(LargeStringArray::from(prompts.clone()))),
        ("model", Arc::new(StringArray::from(models.clone()))),
        ("quality", Arc::new(Float32Array::from(vec![0.5, 1.0, 1.0]))),
        ("source", Arc::new(names.clone().into_iter().collect::<DictionaryArray<Int32Type>>())),
        ("task", Arc::new(StringArray::from(names.clone()))),
        ("prompt_id", Arc::new(Int32Array::from(vec![1, 2, 1]))),
        ("input_tokens", Arc::new(Int32Array::from(vec![Some(7), None, None]))),
        ("output_tokens", Arc::new(Int64Array::from(vec![Some(90), None, None]))),
        ("cost_usd", Arc::new(Float64Array::from(one(0.25)))),
        ("latency_s", Arc::new(Float32Array::from(vec![Some(1.5), None, None]))),
        ("tokens_est", Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)]))),
    ];
    let mut large = small.clone();
    large[0].1 = Arc::new(StringArray::from(prompts));
    large[2].1 = Arc::new(Float64Array::from(vec![0.5, 1.0, 1.0]));
    large[6].1 = Arc::new(Float64Array::from(vec![7.0, f64::NAN, f64::NAN]));
    large[9].1 = Arc::new(Float64Array::from(one(1.5)));
    for columns in [small, large] {
        let (_folder, path) = write_parquet(columns);
        check(&Dataset::read(&path).unwrap());
    }
}

#[test]
fn errors_name_file_row_and_column_and_no_prompt() {
    let csv = |row: &str| {
        let good = "p,m,0.5,3\n".repeat(16);
        error("labels.csv", &format!("prompt,model,quality,output_tokens\n{good}{row}\n"))
    };
    let line = |it: &str| error("labels.jsonl", it);
    let cases = [
        (csv("p,m,1.3,3"), "labels.csv, row 17, column quality: 1.3 is not between 0 and 1"),
        (csv("p,m,,3"), "labels.csv, row 17, column quality: a value is needed"),
        (csv("p,m,NaN,3"), "labels.csv, row 17, column quality: a value is needed"),
        (csv("p,m,high,3"), "labels.csv, row 17, column quality: it is not a number"),
        (csv(",m,1,3"), "labels.csv, row 17, column prompt: a value is needed"),
        (csv("p,,1,3"), "labels.csv, row 17, column model: a value is needed"),
        (csv("p,m,1,3.5"), "labels.csv, row 17, column output_tokens: 3.5 is not a whole number"),
        (
            csv("p,m,1,-1"),
            "labels.csv, row 17, column output_tokens: -1 is not between 0 and 4294967295",
        ),
        (
            error("labels.csv", "prompt,model\np,m\n"),
            "labels.csv: there is no column quality; prompt, model and quality are required",
        ),
        (error("labels.csv", "prompt,model,quality\n"), "labels.csv: the table has no rows"),
        (error("labels.txt", ""), "labels.txt: the extension must be .parquet, .csv or .jsonl"),
        (line("{\"prompt\":1}"), "labels.jsonl, row 1, column prompt: it is not a string"),
    ];
    for (found, wanted) in cases {
        assert_eq!(found, wanted);
    }
    assert!(csv("p,m").starts_with("labels.csv, row 17: "));
    for broken in [line("\n\n[\"secret\"]"), line("\n\n{\"secret")] {
        assert!(broken.starts_with("labels.jsonl, row 3: "), "{broken}");
        assert!(!broken.contains("secret"), "{broken}");
    }
}

#[test]
fn a_parquet_column_of_a_wrong_type_is_refused() {
    let (_folder, path) = write_parquet(vec![
        ("prompt", Arc::new(StringArray::from(vec!["p"]))),
        ("model", Arc::new(StringArray::from(vec!["m"]))),
        ("quality", Arc::new(StringArray::from(vec!["0.5"]))),
    ]);
    let text = Dataset::read(&path).unwrap_err().to_string();
    assert!(text.ends_with("column quality: the type Utf8 is not a number"), "{text}");
    let (_folder, path) = write("labels.parquet", "this is no parquet");
    assert!(matches!(Dataset::read(&path), Err(DataError::Parquet { .. })));
    assert!(matches!(Dataset::read(&path.join("x.csv")), Err(DataError::Unreadable { .. })));
}

#[test]
fn a_wide_table_gives_a_label_per_model() {
    let csv = "sample_id,prompt,eval_name,m-a,m-b,m-a|model_response,m-a|total_cost,m-b|total_cost\n\
        1,p,t,0.5,1,yes,0.25,0.5\n2,q,t,,0,no,,0.125\n";
    let (_folder, path) = write("wide.csv", csv);
    let data = Dataset::read(&path).unwrap();
    assert_eq!((data.prompts.len(), &data.models[..]), (2, &["m-a".into(), "m-b".into()][..]));
    let found: Vec<_> =
        data.labels.iter().map(|it| (it.prompt, it.model, it.quality, it.cost_usd)).collect();
    let wanted = [(0, 0, 0.5, Some(0.25)), (0, 1, 1.0, Some(0.5)), (1, 1, 0.0, Some(0.125))];
    assert_eq!(found, wanted);
    assert_eq!(data.tasks, ["t"]);
    let rows = "prompt,m,m|total_cost\np,1,0.1\np2,1,0.1\n";
    let wide = |row: &str| error("wide.csv", &format!("{rows}{row}\n"));
    let cases = [
        (wide("p,2,0.1"), "wide.csv, row 3, column quality of model m: 2 is not between 0 and 1"),
        (wide("p,good,0.1"), "wide.csv, row 3, column quality of model m: it is not a number"),
        (wide("p,1,dear"), "wide.csv, row 3, column cost_usd of model m: it is not a number"),
        (wide(",1,0.1"), "wide.csv, row 3, column prompt: a value is needed"),
    ];
    for (found, wanted) in cases {
        assert_eq!(found, wanted);
    }
    // Without a prompt, or with a column `model`, it is a long table that lacks something.
    assert!(error("x.csv", "m,m|total_cost\n1,1\n").contains("no column prompt"));
    assert!(error("x.csv", "prompt,model,m,m|total_cost\n").contains("no column quality"));
}

#[test]
fn other_names_of_columns_are_understood() {
    let csv = "prompt,model,score,cost,latency\np,m,0.5,0.25,1.5\n";
    let (_folder, path) = write("few.csv", csv);
    let label = Dataset::read(&path).unwrap().labels[0];
    assert_eq!((label.quality, label.cost_usd, label.latency_s), (0.5, Some(0.25), Some(1.5)));
    let wrong = error("few.csv", "prompt,model,score\np,m,0.5\np,m,7\n");
    assert_eq!(wrong, "few.csv, row 2, column quality: 7 is not between 0 and 1");
}
