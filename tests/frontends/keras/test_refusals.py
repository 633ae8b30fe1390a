"""What is refused, with its code; and that nothing of a model is ever run, unpacked or fetched."""

from __future__ import annotations

import base64
import json
import marshal
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

h5py: Any = pytest.importorskip("h5py", reason="h5py is not installed")

from mconv import frontends  # noqa: E402
from mconv.ir import MconvError  # noqa: E402
from mconv.ir.errors import UsageError  # noqa: E402

from .files import functional, layer, sequential, write  # noqa: E402

INPUT = layer("InputLayer", "x", [], batch_input_shape=[None, 4], dtype="float32", sparse=False)
DENSE = {"units": 4, "activation": "linear", "use_bias": False}
EYE = np.eye(4, dtype=np.float32)


def refusal(path: Path, **options: Any) -> MconvError:
    with pytest.raises(MconvError) as caught:
        frontends.load(path, **options)
    return caught.value


def codes(error: MconvError) -> set[str]:
    return {problem.code for problem in error.problems}


def archive(path: Path, config: Any, members: dict[str, bytes] | None = None, **more: Any) -> Path:
    """A .keras file without weights."""
    with h5py.File(path.with_suffix(".w"), "w") as file:
        file.create_group("layers")
    with zipfile.ZipFile(path, "w", **more) as made:
        made.writestr("config.json", config if isinstance(config, str | bytes) else json.dumps(config))
        made.writestr("metadata.json", json.dumps({"keras_version": "3.0.0"}))
        made.writestr("model.weights.h5", path.with_suffix(".w").read_bytes())
        for name, data in (members or {}).items():
            made.writestr(name, data)
    return path


def newer(cls: str, name: str, module: str = "keras.layers", inbound: str = "x", **config: Any) -> dict[str, Any]:
    tensor = {"class_name": "__keras_tensor__", "config": {"shape": [None, 4], "dtype": "float32",
                                                           "keras_history": [inbound, 0, 0]}}  # fmt: skip
    made = {
        "module": module,
        "class_name": cls,
        "config": {"name": name, "trainable": True, "dtype": "float32", **config},
    }
    return {**made, "registered_name": None, "name": name, "inbound_nodes": [{"args": [tensor], "kwargs": {}}]}


def keras_3(*layers: dict[str, Any]) -> dict[str, Any]:
    first = {"module": "keras.layers", "class_name": "InputLayer", "name": "x", "inbound_nodes": [],
             "config": {"batch_shape": [None, 4], "dtype": "float32", "name": "x"}}  # fmt: skip
    config = {"name": "m", "layers": [first, *layers], "input_layers": ["x", 0, 0],
              "output_layers": [layers[-1]["name"], 0, 0]}  # fmt: skip
    return {
        "module": "keras.src.models.functional",
        "class_name": "Functional",
        "config": config,
        "registered_name": "Functional",
    }


# Code --------------------------------------------------------------------------------------------------------


def bomb(target: Path) -> str:
    """Code, as Keras stores a lambda's, that would create a file."""
    code = compile(f"lambda x: open({str(target)!r}, 'w').close() or x", "<lambda>", "eval").co_consts[0]
    return base64.b64encode(marshal.dumps(code)).decode()


@pytest.mark.parametrize("form", [".keras", ".h5"])
def test_a_lambda_is_refused_and_its_code_never_runs(tmp_path: Path, form: str) -> None:
    target = tmp_path / "created"
    stored = bomb(target)
    if form == ".keras":
        function: Any = {"class_name": "__lambda__", "config": {"code": stored, "defaults": None, "closure": None}}
        path = archive(tmp_path / "m.keras", keras_3(newer("Lambda", "evil", function=function, arguments={})))
    else:
        evil = layer("Lambda", "evil", ["x"], function=[stored, None, None], function_type="lambda", module="__main__",
                     output_shape=None, output_shape_type="raw", arguments={})  # fmt: skip
        path = write(tmp_path / "m.h5", functional([INPUT, evil], ["x"], ["evil"]), {"x": [], "evil": []})
    error = refusal(path)
    assert codes(error) == {"MC392"}
    assert error.exit_status == 3
    assert "'evil'" in str(error)
    assert not target.exists()


def test_all_refusals_are_told_at_once(tmp_path: Path) -> None:
    layers = [
        newer("Lambda", "l1", function="f"),
        newer("Own", "o1", "my_package.layers"),
        newer("Dense", "d1", activation={"module": "other.place", "class_name": "function", "config": "curve",
                                         "registered_name": "curve"}, units=4, use_bias=False),
        newer("StringLookup", "s1"),
        newer("Dropout", "end", rate=0.5),
    ]  # fmt: skip
    error = refusal(archive(tmp_path / "m.keras", keras_3(*layers)))
    assert codes(error) == {"MC390", "MC391", "MC392"}
    assert "'Own' of my_package.layers" in str(error)


def test_a_custom_activation_is_refused_with_its_module(tmp_path: Path) -> None:
    own = {"module": "other.place", "class_name": "function", "config": "curve", "registered_name": "curve"}
    error = refusal(archive(tmp_path / "m.keras", keras_3(newer("Activation", "a", activation=own))))
    assert codes(error) == {"MC391"}
    assert "'curve' of other.place" in str(error)
    config = functional([INPUT, layer("Activation", "a", ["x"], activation="curve")], ["x"], ["a"])
    path = write(tmp_path / "m.h5", config, {"x": [], "a": []})
    assert codes(refusal(path)) == {"MC391"}


def test_a_registered_class_is_refused_though_its_name_is_known(tmp_path: Path) -> None:
    own = {**newer("Dense", "d", "my_package", **DENSE), "registered_name": "my_package>Dense"}
    assert codes(refusal(archive(tmp_path / "m.keras", keras_3(own)))) == {"MC391"}
    scale = {**newer("LayerScale", "s", "my_package", init_values=1.0, projection_dim=4)}
    assert codes(refusal(archive(tmp_path / "n.keras", keras_3(scale)))) == {"MC391"}


def test_a_subclassed_model_is_refused_with_a_way_out(tmp_path: Path) -> None:
    config = {"module": "my", "class_name": "Net", "config": {"name": "net"}, "registered_name": "Net"}
    error = refusal(archive(tmp_path / "m.keras", config))
    assert codes(error) == {"MC395"}
    assert "SavedModel" in str(error)


# Files -------------------------------------------------------------------------------------------------------


def test_weights_alone_are_no_model(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.weights.h5", "w") as file:
        file.create_group("layers/dense/vars")["0"] = EYE
    error = refusal(tmp_path / "a.weights.h5")
    assert codes(error) == {"MC293"}
    assert "load_weights" in str(error)
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file.attrs["layer_names"] = [b"d"]
    assert codes(refusal(tmp_path / "b.h5")) == {"MC293"}
    with h5py.File(tmp_path / "c.h5", "w") as file:
        file["data"] = EYE
    assert codes(refusal(tmp_path / "c.h5")) == {"MC292"}


def test_members_outside_of_the_archive_are_refused(tmp_path: Path) -> None:
    for name in ("../evil.py", "/etc/evil", "a/../../b", "..\\evil", "C:\\evil"):
        path = archive(tmp_path / "m.keras", keras_3(newer("Dropout", "d", rate=0.1)), {name: b"x"})
        assert codes(refusal(path)) == {"MC291"}


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = archive(tmp_path / "m.keras", b" " * (1 << 27), compression=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 1 << 18
    assert codes(refusal(path)) == {"MC291"}


def linked(tmp_path: Path, make: Any) -> Path:
    """A model whose weight is what ``make`` puts in its place."""
    config = functional([INPUT, layer("Dense", "d", ["x"], **DENSE)], ["x"], ["d"])
    path = write(tmp_path / "m.h5", config, {"x": [], "d": [EYE]})
    with h5py.File(path, "a") as file:
        group = file["model_weights/d"]
        del group["d_W0"]
        make(group)
    return path


def test_links_and_outside_storage_are_refused(tmp_path: Path) -> None:
    (tmp_path / "secret.bin").write_bytes(EYE.tobytes())
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["w"] = EYE

    def external_link(group: Any) -> None:
        group["d_W0"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/w")

    def soft_link(group: Any) -> None:
        group["d_W0"] = h5py.SoftLink("/model_weights/x")

    def external_storage(group: Any) -> None:
        group.create_dataset("d_W0", (4, 4), "f4", external=[(str(tmp_path / "secret.bin"), 0, 64)])

    def virtual(group: Any) -> None:
        layout = h5py.VirtualLayout((4, 4), "f4")
        layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "w", (4, 4))
        group.create_virtual_dataset("d_W0", layout)

    for make in (external_link, soft_link, external_storage, virtual):
        assert codes(refusal(linked(tmp_path, make))) == {"MC291"}, make.__name__


def test_a_compressed_weight_of_many_bytes_is_refused(tmp_path: Path) -> None:
    def large(group: Any) -> None:
        group.create_dataset("d_W0", (4, 1 << 30), "f4", chunks=(4, 1 << 16), compression="gzip")

    assert codes(refusal(linked(tmp_path, large))) == {"MC291"}


def test_a_compressed_weight_is_read(tmp_path: Path) -> None:
    path = linked(tmp_path, lambda group: group.create_dataset("d_W0", data=EYE, chunks=(2, 2), compression="gzip"))
    assert frontends.load(path).output_names == ("d",)


# Configurations ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("config", "code"), [
    ("{", "MC292"), ("[]", "MC292"), ('{"class_name": "Sequential", "config": {"name": "s", "layers": []}}', "MC292"),
    ('{"class_name": "Dense", "config": {"name": "d", "units": 3}}', "MC292"), ("[" * 100_000, "MC292"),
])  # fmt: skip
def test_configurations_that_are_none(tmp_path: Path, config: str, code: str) -> None:
    assert codes(refusal(archive(tmp_path / "m.keras", config))) == {code}


def functional_model(tmp_path: Path, *layers: Any, end: str = "d", weights: dict[str, Any] | None = None) -> Path:
    path = tmp_path / "m.h5"
    return write(
        path, functional([INPUT, *layers], ["x"], [end]), {"x": [], "d": [EYE]} if weights is None else weights
    )


@pytest.mark.parametrize(("changes", "code"), [
    ({"units": 5}, "MC294"), ({"units": "four"}, "MC296"), ({"units": None}, "MC296"), ({"twist": 3}, "MC394"),
    ({"use_bias": True}, "MC294"), ({"use_bias": 1}, "MC294"), ({"dtype": "complex64"}, "MC304"),
    ({"dtype": {"class_name": "QuantizedDTypePolicy", "config": {"name": "int8"}}}, "MC304"),
    ({"activation": 5}, "MC296"), ({"activation": "own"}, "MC391"),
])  # fmt: skip
def test_settings_that_do_not_fit(tmp_path: Path, changes: dict[str, Any], code: str) -> None:
    path = functional_model(tmp_path, layer("Dense", "d", ["x"], **{**DENSE, **changes}))
    assert codes(refusal(path)) == {code}


@pytest.mark.parametrize(("inbound", "code"), [
    (["nobody"], "MC295"), (["d"], "MC295"), ([["x", 3, 0]], "MC295"), ([["x", 0, 7]], "MC295"), ([], "MC295"),
])  # fmt: skip
def test_calls_of_what_is_not_there(tmp_path: Path, inbound: Any, code: str) -> None:
    assert codes(refusal(functional_model(tmp_path, layer("Dense", "d", inbound, **DENSE)))) == {code}


def test_weights_that_are_missing(tmp_path: Path) -> None:
    dense = layer("Dense", "d", ["x"], **DENSE)
    assert codes(refusal(functional_model(tmp_path, dense, weights={"x": []}))) == {"MC294"}
    assert codes(refusal(archive(tmp_path / "m.keras", keras_3(newer("Dense", "d", **DENSE))))) == {"MC294"}


def test_models_that_unfold_without_end(tmp_path: Path) -> None:
    inner: Any = sequential([layer("Dropout", "o", rate=0.1, batch_input_shape=[None, 4])])
    for depth in range(20):
        one = {**inner, "name": "one", "inbound_nodes": [[["x", 0, 0]], [["one", 0, 0]]]}
        one["config"] = {**inner["config"], "name": "one"}
        inner = functional([INPUT, one], ["x"], ["one"])
        inner["config"]["output_layers"] = [["one", 1, 0]]
        inner["config"]["name"] = f"level{depth}"
    path = write(tmp_path / "m.h5", inner, {"x": [], "one": []})
    assert codes(refusal(path)) == {"MC297"}


def test_a_mask_that_cannot_be_followed(tmp_path: Path) -> None:
    first = layer("InputLayer", "x", [], batch_input_shape=[None, 3, 6, 4], dtype="float32", sparse=False)
    masking = layer("Masking", "k", ["x"], mask_value=0.0)
    path = write(tmp_path / "m.h5", functional([first, masking, layer(
        "ConvLSTM1D", "d", ["k"], filters=2, kernel_size=[3], strides=[1], padding="valid", data_format="channels_last",
        dilation_rate=[1], activation="tanh", recurrent_activation="sigmoid", use_bias=False)], ["x"], ["d"]),
        {"x": [], "k": [], "d": [np.zeros((3, 4, 8), "f4"), np.zeros((3, 2, 8), "f4")]})  # fmt: skip
    assert codes(refusal(path)) == {"MC396"}


def test_inputs_are_named_as_they_are(tmp_path: Path) -> None:
    path = functional_model(tmp_path, layer("Dense", "d", ["x"], **DENSE))
    assert refusal(path, input_shapes={"y": (1, 4)}).code == "MC111"
    assert refusal(path, dims={"time": 3}).code == "MC112"
    assert refusal(path, input_shapes={"x": (1, 2, 4)}).code == "MC117"
    assert isinstance(refusal(path, input_shapes={"y": (1, 4)}), UsageError)
    assert frontends.load(path, dims={"batch": 3}).outputs[0].type.shape == (3, 4)
    assert frontends.load(path, input_shapes={"x": (2, 4)}).outputs[0].type.shape == (2, 4)


def test_without_h5py_the_line_to_type_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = functional_model(tmp_path, layer("Dense", "d", ["x"], **DENSE))
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    error = refusal(path)
    assert error.code == "MC130"
    assert "pip install 'mconv[keras]'" in str(error)
