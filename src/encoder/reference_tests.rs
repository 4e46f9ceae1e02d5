//! The fast layers against the plain ones, and the format they are kept in.

use super::*;
use crate::domain::ChatRequest;
use crate::encoder::backbone::{Backbone, Fused};
use crate::encoder::bert::sample::noise;
use crate::encoder::embedding::EPSILON;
use crate::encoder::kernels::Kernel;
use crate::encoder::stack::Stack;
use crate::encoder::{
    EmbeddingLayer, Encoder, Exit, QuantizedRows, TOKENS_MAX, WIDTH, files, model, write_weights,
};

fn layer(width: usize, inner: usize, seed: u32) -> LayerWeights {
    let linear = |outputs: usize, inputs: usize, seed: u32| {
        let spread = (3.0 / inputs as f32).sqrt();
        let rows: Vec<f32> = noise(outputs * inputs, seed).iter().map(|it| it * spread).collect();
        let bias = noise(outputs, seed + 1).iter().map(|it| it * 0.1).collect();
        LinearWeights::quantize(&rows, inputs, bias)
    };
    let norm = |seed| NormWeights {
        gain: noise(width, seed).iter().map(|it| 1.0 + it * 0.2).collect(),
        bias: noise(width, seed + 1).iter().map(|it| it * 0.1).collect(),
    };
    LayerWeights {
        qkv: linear(3 * width, width, seed + 10),
        out: linear(width, width, seed + 20),
        attention_norm: norm(seed + 30),
        up: linear(inner, width, seed + 40),
        down: linear(width, inner, seed + 50),
        norm: norm(seed + 60),
    }
}

fn stack(layers: &[LayerWeights], head: usize) -> Stack {
    let built = layers.iter().map(|it| it.clone().build(head).expect("it fits")).collect();
    Stack::new(built, head, EPSILON).expect("they fit")
}

fn plain_mean(layers: &[LayerWeights], head: usize, rows: &[f32], width: usize) -> Vec<f32> {
    let shape = (rows.len() / width, width);
    let mut x = Tensor::from_slice(rows, shape, &Device::Cpu).expect("rows");
    for layer in layers {
        let layer = PlainLayer::of(layer).expect("a layer");
        x = layer.apply(&x, head, f64::from(EPSILON)).expect("applied");
    }
    x.mean(0).and_then(|it| it.to_vec1()).expect("a mean")
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| {
        a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>()
    };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[test]
fn every_kernel_comes_close_to_plain_floats() {
    for (width, inner, head) in [(128, 256, 32), (192, 384, 64)] {
        let layers = [layer(width, inner, 1), layer(width, inner, 2)];
        for kernel in Kernel::all() {
            let stack = stack(&layers, head).with_kernel(kernel);
            for tokens in [1, 2, 5, 33, 70] {
                let rows = noise(tokens * width, 7 + tokens as u32);
                let found = stack.means(&rows, &[tokens]);
                let near = cosine(&found, &plain_mean(&layers, head, &rows, width));
                assert!(near > 0.995, "{kernel:?}, {tokens} tokens of {width}: {near}");
            }
        }
    }
}

#[test]
fn a_batch_gives_the_same_bits_as_one_by_one() {
    let (width, lengths) = (128, [3, 0, 65, 1, 130, 7]);
    let layers = [layer(width, 256, 3), layer(width, 256, 4)];
    for kernel in Kernel::all() {
        let stack = stack(&layers, 32).with_kernel(kernel);
        let rows = noise(lengths.iter().sum::<usize>() * width, 5);
        let together = model::means(&stack, rows.clone(), &lengths).expect("one pass");
        let mut rest = rows.as_slice();
        for (length, together) in lengths.iter().zip(together.chunks_exact(width)) {
            let (own, after) = rest.split_at(length * width);
            rest = after;
            assert_eq!(stack.means(own, &[*length]), together, "{kernel:?} {length}");
        }
    }
}

#[test]
fn the_shipped_layers_come_close_to_plain_floats() {
    let encoder = Encoder::shipped().expect("shipped");
    let layers = files::shipped_layers().expect("layers");
    let Backbone::Fused(Fused { embedding, .. }) = &encoder.backbone else { panic!("int8") };
    assert_eq!((layers.len(), encoder.number(Exit::Last)), (3, 3));
    for text in [
        "What is the capital of Norway?",
        "Write a function that reverses a linked list, and say what it costs.",
        "x",
        "7 * 8 = ? A) 54 B) 56 C) 58. Answer with the letter alone.",
        &"The harbour was quiet, and the gulls were not. ".repeat(12),
    ] {
        let request = ChatRequest::from_prompt(text);
        let found = encoder.encode(&request, Exit::Last).expect("encoded");
        let mut ids = vec![101];
        ids.extend(encoder.tokenize(text).expect("ids"));
        ids.push(102);
        let mut rows = Vec::new();
        embedding.append(&ids, &mut rows);
        let near = cosine(found.embedding.as_slice(), &plain_mean(&layers, 32, &rows, WIDTH));
        assert!(near > 0.995, "{text:?}: {near}");
    }
}

#[test]
fn rows_of_another_size_are_refused() {
    let stack = stack(&[layer(128, 256, 3)], 32);
    assert!(model::means(&stack, noise(3 * 128, 1), &[3]).is_ok());
    assert!(model::means(&stack, noise(3 * 128, 1), &[2]).is_err());
    assert_eq!(model::means(&stack, Vec::new(), &[]).expect("nothing"), [] as [f32; 0]);
    assert!(layer(128, 256, 3).build(32).is_some_and(|it| Stack::new(vec![it], 48, 0.0).is_none()));
    assert!(layer(96, 256, 3).build(32).is_none(), "widths are multiples of 64");
}

fn small_embedding() -> EmbeddingLayer {
    EmbeddingLayer {
        words: QuantizedRows::quantize(&noise(50 * WIDTH, 1), WIDTH),
        positions: noise(TOKENS_MAX * WIDTH, 2),
        gain: noise(WIDTH, 3),
        bias: noise(WIDTH, 4),
    }
}

#[test]
fn what_is_written_is_read_and_written_again_alike() {
    let (embedding, layers) = (small_embedding(), [layer(WIDTH, 128, 1), layer(WIDTH, 128, 2)]);
    let bytes = write_weights(&embedding, &layers).expect("written");
    assert_eq!(bytes, write_weights(&embedding, &layers).expect("written"));
    let read = files::read_weights(&bytes).expect("read");
    assert_eq!(read.1, layers);
    assert_eq!(write_weights(&read.0, &read.1).expect("written"), bytes);
}

#[test]
fn broken_layers_are_named() {
    let check = |change: fn(&mut LayerWeights), wanted: &str| {
        let mut layers = [layer(WIDTH, 128, 1)];
        change(&mut layers[0]);
        let bytes = write_weights(&small_embedding(), &layers).expect("written");
        let error = files::read_weights(&bytes).map(|_| ()).expect_err("refused").to_string();
        assert!(error.contains(wanted), "{error}");
    };
    check(|it| it.out = layer(128, 128, 1).out, "`layers.0.out.int8` must be int8 [_, 384]");
    check(|it| it.norm.gain.truncate(100), "`layers.0.norm.gain` must be f32 [384]");
    check(|it| it.down = layer(WIDTH, 64, 1).down, "`layers.0.down.int8` must be int8 [_, 128]");
    check(|it| it.qkv = it.out.clone(), "the layers' sizes do not fit");
}
