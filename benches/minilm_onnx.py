"""onnxruntime's int8 time for all six layers of MiniLM, as the measure for ours.

Run by benches/onnx.sh. In: a folder with model.safetensors of all-MiniLM-L6-v2, a number of tokens.
Out: the median time of one pass in microseconds, on one thread. The graph is built here, with the
operators that onnxruntime has fused kernels for (LayerNormalization, Gelu), simplified by its own
optimiser for BERT (fused attention) and quantised by its own `quantize_dynamic` (int8 weights, one
scale per output; activations found anew for every pass). Needs numpy, onnx, onnxruntime, safetensors.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.transformers import optimizer
from safetensors.numpy import load_file

WIDTH, HEADS, LAYERS, ROUNDS = 384, 12, 6, 301


class Graph:
    """Nodes and weights of a graph that grows from its input on."""

    def __init__(self, weights):
        self.weights, self.nodes, self.held, self.names = weights, [], {}, 0

    def hold(self, name, array):
        self.held[name] = numpy_helper.from_array(np.ascontiguousarray(array), name)
        return name

    def node(self, kind, *inputs, **attributes):
        self.names += 1
        out = f"{kind}_{self.names}"
        self.nodes.append(helper.make_node(kind, list(inputs), [out], name=f"n_{out}", **attributes))
        return out

    def floats(self, name):
        return self.hold(name, self.weights[name].astype(np.float32))

    def linear(self, name, x):
        weight = self.hold(f"{name}.t", self.weights[f"{name}.weight"].astype(np.float32).T)
        return self.node("Add", self.node("MatMul", x, weight), self.floats(f"{name}.bias"))

    def norm(self, name, x):
        gain, bias = self.floats(f"{name}.weight"), self.floats(f"{name}.bias")
        return self.node("LayerNormalization", x, gain, bias, axis=-1, epsilon=1e-12)

    def heads(self, name, x, order):
        shape = self.hold("heads", np.array([0, 0, HEADS, WIDTH // HEADS]))
        return self.node("Transpose", self.node("Reshape", self.linear(name, x), shape), perm=order)

    def layer(self, at, x):
        name = f"encoder.layer.{at}"
        own = f"{name}.attention.self"
        query = self.heads(f"{own}.query", x, [0, 2, 1, 3])
        key = self.heads(f"{own}.key", x, [0, 2, 3, 1])
        value = self.heads(f"{own}.value", x, [0, 2, 1, 3])
        root = self.hold("root", np.array((WIDTH // HEADS) ** 0.5, dtype=np.float32))
        scores = self.node("Div", self.node("MatMul", query, key), root)
        mixed = self.node("MatMul", self.node("Softmax", self.node("Add", scores, "mask"), axis=-1), value)
        flat = self.hold("flat", np.array([0, 0, WIDTH]))
        mixed = self.node("Reshape", self.node("Transpose", mixed, perm=[0, 2, 1, 3]), flat)
        x = self.norm(f"{name}.attention.output.LayerNorm", self.node(
            "Add", self.linear(f"{name}.attention.output.dense", mixed), x))
        wide = self.node("Gelu", self.linear(f"{name}.intermediate.dense", x))
        return self.norm(f"{name}.output.LayerNorm", self.node(
            "Add", self.linear(f"{name}.output.dense", wide), x))


def model(weights, tokens):
    """The encoder from token ids to the mean of the last layer; its size in tokens is fixed."""
    graph = Graph(weights)
    words = graph.node("Gather", graph.floats("embeddings.word_embeddings.weight"), "ids")
    places = (weights["embeddings.position_embeddings.weight"][:tokens]
              + weights["embeddings.token_type_embeddings.weight"][:1])[None]
    x = graph.norm("embeddings.LayerNorm", graph.node("Add", words, graph.hold("places", places)))
    graph.hold("mask", np.zeros((1, 1, 1, tokens), dtype=np.float32))
    for at in range(LAYERS):
        x = graph.layer(at, x)
    axes = graph.hold("axes", np.array([1]))
    graph.nodes.append(helper.make_node("ReduceMean", [x, axes], ["mean"], keepdims=0))
    ids = helper.make_tensor_value_info("ids", TensorProto.INT64, [1, tokens])
    mean = helper.make_tensor_value_info("mean", TensorProto.FLOAT, [1, WIDTH])
    body = helper.make_graph(graph.nodes, "minilm", [ids], [mean], list(graph.held.values()))
    made = helper.make_model(body, opset_imports=[helper.make_opsetid("", 20)])
    made.ir_version = 9
    onnx.checker.check_model(made)
    return made


def time_of(path, ids):
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        mean = session.run(None, {"ids": ids})[0]
        times.append((time.perf_counter() - start) * 1e6)
    return statistics.median(times[ROUNDS // 10:]), mean[0]


def main():
    folder, tokens = Path(sys.argv[1]), int(sys.argv[2])
    weights = load_file(folder / "model.safetensors")
    ids = np.random.default_rng(7).integers(1_000, 30_000, (1, tokens))
    with tempfile.TemporaryDirectory() as scratch:
        whole, fused, small = (Path(scratch) / it for it in ("whole.onnx", "fused.onnx", "int8.onnx"))
        onnx.save(model(weights, tokens), whole)
        best = optimizer.optimize_model(str(whole), "bert", num_heads=HEADS, hidden_size=WIDTH, opt_level=0)
        best.save_model_to_file(str(fused))
        found = {}
        for path in (whole, fused):
            quantize_dynamic(path, small, per_channel=True, weight_type=QuantType.QInt8,
                             extra_options={"DefaultTensorType": TensorProto.FLOAT})
            found[path.stem], int8 = time_of(small, ids)
        floats_us, floats = time_of(fused, ids)
    near = float(int8 @ floats / np.linalg.norm(int8) / np.linalg.norm(floats))
    print(f"onnxruntime {ort.__version__}, {tokens} tokens, 6 layers, 1 thread: f32 {floats_us:.0f} us, int8 "
          f"{found['whole']:.0f} us as built, {found['fused']:.0f} us fused; cosine to f32 {near:.4f}",
          file=sys.stderr)
    print(f"{min(found.values()):.0f}")


main()
