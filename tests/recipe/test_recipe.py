import pytest
import yaml
from pydantic import ValidationError

from framecast.errors import UsageError
from framecast.models import MODELS, ConvLSTM
from framecast.recipe.model_section import make_model_config
from framecast.recipe.parsing import parse_config
from framecast.recipe.recipe import Recipe, read_recipe, read_run_recipe


@pytest.mark.parametrize("name", MODELS)
def test_a_resolved_recipe_reads_back(name: str, tmp_path) -> None:
    said = read_recipe(name, ["train.lr=3e-4", "validate.every=7", "data.moving_mnist.digits=1"], {"seed": 3})
    path = tmp_path / "recipe.yaml"
    path.write_text(said.yaml())
    assert read_recipe(str(path)) == said
    assert (said.train.lr, said.validate_.every, said.seed) == (3e-4, 7, 3)
    assert said.model.name == name


def test_overrides_win_over_the_file(tmp_path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("model: convlstm\ntrain: {lr: 1.0e-2, steps: 5}\n")
    said = read_recipe(str(path), ["model.hidden=[8, 8]", "train.lr=1e-5"])
    assert said.model == ConvLSTM(hidden=(8, 8))
    assert (said.train.lr, said.train.steps) == (1e-5, 5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("trian: {lr: 1}", "did you mean train"),
        ("train: {lrate: 1}", "train.lrate"),
        ("sampling: {kind: scheduled, alpha: 3}", "sampling.alpha"),
        ("model: {name: convlstm, hiden: [3]}", "did you mean hidden"),
        ("model: {name: convlst}", "did you mean convlstm"),
        ("train: {steps: 0}", "train.steps"),
        ("- a list", "expected a mapping"),
        ("a: [", "expected YAML"),
        ("train: {steps: 1}\ntrain: {steps: 2}", "the key 'train' twice"),
        ("train: {lr: .nan}", "train.lr: Input should be a finite number, got nan"),
        ("train: {checkpoint_minutes: .inf}", "finite"),
        ("loss: {decoupling: .inf}", "finite"),
        ("seed: 9223372036854775808", "seed"),
        ("model: {name: convlstm, hidden: 3}", "hidden.*got 3"),
        ("model: [[convlstm]]", r"got \[\['convlstm'\]\]"),
        ("- *nothing", "expected YAML"),
    ],
)
def test_faults_are_named_with_the_nearest_key(text: str, message: str, tmp_path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        read_recipe(str(path))


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("seed=0", 0),
        ("loss.decoupling=0", 0.0),
        ("train.workers=0", 0),
        ("train.clip=null", None),
        ("train.clip=", None),
    ],
)
def test_nothing_and_zero_are_values(override: str, value: object) -> None:
    said = read_recipe("predrnn", ["train.clip=1", override])
    section, _, key = override.partition("=")[0].rpartition(".")
    got = getattr(getattr(said, section) if section else said, key)
    assert got == value
    assert read_recipe("mim", ["model.bias=false"]).model.bias is False


@pytest.mark.parametrize("text", ["model: {name: 'evil:Net'}", "model: evil:Net", "model: {name: ['evil:Net']}"])
def test_a_recipe_from_a_stranger_imports_nothing(text: str, tmp_path, monkeypatch) -> None:
    (tmp_path / "evil.py").write_text("raise SystemExit('code was run')")
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    reads = [
        lambda: read_recipe(str(path)),
        lambda: read_run_recipe(path),
        lambda: Recipe.model_validate(yaml.safe_load(text)),
        lambda: read_recipe(str(path), ["model.hidden=[3]"], model="other:Net"),
        lambda: read_recipe(str(path), model=["evil:Other", "other:Net"]),
    ]
    for read in reads:
        with pytest.raises((UsageError, ValidationError), match=r"if you trust it, say model=.*evil:Net"):
            read()
    assert read_recipe(str(path), ["model=convlstm"]).model.name == "convlstm"  # what it names is not used


@pytest.mark.parametrize("trust", ["model", "models", "--set name", "--set model"])
def test_a_class_is_imported_where_an_argument_names_it(trust: str, tmp_path, monkeypatch) -> None:
    (tmp_path / "own_network.py").write_text(
        "from typing import Literal\nfrom framecast.models import ConvLSTM\n"
        "class Net(ConvLSTM):\n    name: Literal['net'] = 'net'\n"
    )
    path, name = tmp_path / "recipe.yaml", "own_network:Net"
    path.write_text(f"model: {{name: '{name}', hidden: [5]}}")
    monkeypatch.syspath_prepend(tmp_path)
    given = {
        "model": {"model": name},
        "models": {"model": ["other:Net", name]},
        "--set name": {"overrides": [f"model.name={name}"]},
        "--set model": {"overrides": [f"model={name}"]},
    }[trust]
    network = read_recipe(str(path), **given).model
    assert (type(network).__name__, type(network).__module__) == ("Net", "own_network")
    assert network.hidden == ((64, 64, 64, 64) if trust == "--set model" else (5,))
    for wrong in ("os:system", "json:JSONDecoder"):
        with pytest.raises(UsageError, match=r"derived from framecast\.models\.ModelConfig"):
            read_recipe(wrong)
    with pytest.raises(UsageError, match=r"package\.module:Name"):
        read_recipe("no_such_module:Net")


def test_errors_are_one_line() -> None:
    with pytest.raises(UsageError) as error:
        parse_config(Recipe, {"train": {"lr": "fast", "steps": -1}}, "here")
    assert "\n" not in str(error.value)
    with pytest.raises(UsageError, match="one of lstm"):
        make_model_config({"name": "transformer"})


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("data.source=5", "data.source: Input should be a valid string or a valid tuple, got 5"),
        ("data.source=[{path: a, nope: 1}]", "data.source.0.nope: unknown key: got 'nope', expected one of frames, "),
        ("data.source=[]", "data.source: source: got no file, expected at least one"),
        ("model.hidden=[0]", "model: model convlstm: hidden.0: Input should be greater than or equal to 1, got 0"),
        ("base={kind: linear, leads: x}", "base.leads: Input should be a valid integer, unable to parse string as an "),
        (
            "normalize={kind: range, low: 3, high: 1}",
            "normalize: value range: got low 3.0, high 1.0, expected low",
        ),
        ("data.frames=[5, 3]", "data.frames: frames: got 5 to 3, expected the first before the last"),
        ("data.crop=[0, 4]", "data.crop.0: Input should be greater than or equal to 1, got 0"),
        (
            "loss.terms=[{kind: csi, wid: 1, thresholds: [1]}]",
            "loss.terms.0.wid: unknown key: got 'wid', expected",
        ),
        ("train.lr_schedule.kind=nope", "train.lr_schedule: Input tag 'nope' found using 'kind' does not match"),
    ],
)
def test_messages_name_no_alternative_of_pydantic_and_say_got_once(override: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_recipe("convlstm", [override])
    assert str(caught.value).startswith(f"convlstm: {said}")
    assert str(caught.value).count("got ") <= 1
