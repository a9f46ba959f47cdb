import base64
import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from fakeface.core.files import read_json, read_rows, write_json
from fakeface.core.records import FAKE, OBJECTIVE_NAMES, REAL, ElsewhereRecord, PairRecord, PredictionRecord, SplitRecord
from fakeface.reporting.pages import bounds, score
from fakeface.scoring.elsewhere import NOT_MEASURED
from fakeface.scoring.results import HEADLINE, SCORE_NAMES, read_scores
from fakeface.tracking import registry, runs
from stages import report
from tests.conftest import Command, Outcome
from tests.reported import COMMIT, Results, images, write_photos_of, write_results

FIGURES = {
    "confusion_ce", "confusion_bce", "curves_ce", "curves_bce", "curves", "roc", "reliability", "slices", "robustness",
}  # fmt: skip
VOID = {"meta", "link", "br", "img", "path", "use"}


class Page(HTMLParser):
    """What a page is made of; every tag that opens must close in order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag, f"</{tag}> at {self.getpos()}"

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def values(self, *names: str) -> list[str]:
        return [value for _, name, value in self.attributes if name in names]


@dataclass(frozen=True)
class Reporter:
    """Reports on results in folders below `root`; `published` collects what would go to MLflow, see tests/test_tracking.py."""

    root: Path
    published: list[tuple[Any, ...]]

    def __call__(
        self, name: str, rows: Sequence[SplitRecord] | None = None, params: Mapping[str, Any] | None = None, **what: Any
    ) -> Results:
        rows = images() if rows is None else rows
        results = write_results(self.root / name, rows, **what)
        write_photos_of(results.root, rows)
        set_params(results, params or {})
        report.main(results.arguments())
        return results


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reporter]:
    reporter = Reporter(tmp_path_factory.mktemp("reports"), [])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "publish_evaluation", lambda _, *arguments: reporter.published.append(arguments))
        patch.setattr(registry, "register", lambda *_: None)
        yield reporter


@pytest.fixture(scope="module")
def sample(reported: Reporter) -> Results:
    """A report as it mostly is, with pairs of a real photo and its composite on every side; tests only read it."""
    return reported("sample", pairs=linked_pairs())


def linked_pairs() -> list[PairRecord]:
    """Each real photo with the fake that comes next."""
    rows = [row for row in images() if row.side != "train"]
    return [PairRecord(one.path, other.path, "photo", 9) for one, other in zip(rows[::2], rows[1::2], strict=True)]


def set_params(results: Results, changes: Mapping[str, Any], section: str = "report") -> None:
    path = results.root / "params.yaml"
    params = yaml.safe_load(path.read_text())
    params[section] |= dict(changes)
    path.write_text(yaml.safe_dump(params, sort_keys=False))


def test_the_same_results_give_the_same_files(reported: Reporter) -> None:
    names = ["metrics/report.html", "docs/model-card.md", *(f"metrics/figures/{name}.png" for name in FIGURES)]
    first, second = ({name: (reported("same").root / name).read_bytes() for name in names} for _ in range(2))
    for name in names:
        assert first[name] == second[name], name
    assert {path.stem for path in (reported.root / "same/metrics/figures").iterdir()} == FIGURES


def test_the_page_is_whole_and_loads_nothing(sample: Results) -> None:
    text = sample.page
    page = Page(text)
    ids = Counter(page.values("id"))
    assert not [name for name, count in ids.items() if count > 1]
    references = page.values("href", "src", "xlink:href", "action", "data", "poster", "srcset")
    assert all(reference.startswith(("#", "data:")) for reference in references)
    assert {reference[1:] for reference in references if reference.startswith("#")} <= ids.keys()
    assert not [tag for tag, _, _ in page.attributes if tag in ("script", "iframe", "object", "embed", "form")]
    assert not re.search(r"@import|url\((?!#)|https?://", text.replace("http://www.w3.org", ""))


def test_every_section_is_in_the_contents(sample: Results) -> None:
    text = sample.page
    sections = re.findall(r'<section id="(\w+)">', text)
    assert sections == re.findall(r'<li><a href="#(\w+)">', text)
    assert len(sections) == 13


def test_the_page_has_every_score(sample: Results) -> None:
    """Scores on each side, intervals, baselines, thresholds, slices, perturbed images and both sentences."""
    text, scores = Page(sample.page).text, read_scores(sample.root / "metrics/scores.json")
    for model in scores.models.values():
        numbers = [getattr(side, key) for side in (model.train, model.valid, model.test) for key in HEADLINE]
        numbers += [getattr(model.test, key) for key in SCORE_NAMES]
        numbers += [end for key in SCORE_NAMES for end in getattr(model.intervals, key)]
        numbers += [model.temperature, model.uncalibrated.brier, model.uncalibrated.ece]
        numbers += [point.threshold for point in model.thresholds.values()]
        for scored in (*model.answers.test.values(), *model.answers.web.values()):
            assert f"{scored.coverage:.1%}".replace("%", " %") in text
            numbers += scored.coverage_interval or ()
            numbers += scored.error_interval or ()
        numbers += [part.roc_auc for part in model.slices["part"].values()]
        numbers += [model.web.accuracy, model.web.roc_auc, model.web.drop.difference, model.valid_web.drop.difference]
        numbers += [end for interval in (model.web.intervals.roc_auc, model.web.drop.interval) for end in interval or ()]
        numbers += [model.same_table.value, *(model.same_table.interval or ()), model.train_valid_gap]
        for linked in (model.linked_pairs, model.valid_linked_pairs):
            assert linked.pairs
            numbers += [linked.pairwise_accuracy, *(linked.interval or ())]
        numbers += [perturbed.roc_auc for perturbed in model.perturbed.values()]
        for number in numbers:
            assert score(number) in text
        for count in (count for row in model.confusion_matrix for count in row):
            assert f" {count} " in text
    for baseline in scores.baselines.values():
        assert f"{score(baseline.accuracy)} {bounds(baseline.intervals.accuracy)}" in text
    assert scores.comparison.sentence in text
    assert scores.shift.sentence in text


def test_the_page_tells_what_a_stranger_meets_first(sample: Results, reported: Reporter) -> None:
    assert NOT_MEASURED in Page(sample.page).text
    faces = [ElsewhereRecord(f"{number}.jpg", 1, number / 20, 1 - number / 20) for number in range(20)]
    results = reported("elsewhere", elsewhere=[*faces, ElsewhereRecord("nobody.jpg", 0, None, None)])
    text, found = Page(results.page).text, read_scores(results.root / "metrics/scores.json").elsewhere
    assert found.sentence in text
    assert "In 1 of the photos no face is found." in text
    for scored in found.models.values():
        shares = [(scored.false_positive_rate, scored.false_positive_rate_interval)]
        shares += [(answer.coverage, answer.coverage_interval) for answer in scored.answers.values()]
        assert all(f"{share:.1%} {bounds(interval)}".replace("%", " %") in text for share, interval in shares)
    logged = [metrics for _, _, metrics, *_ in reported.published[-2:]]
    rates = [scored.false_positive_rate for scored in found.models.values()]
    assert [metrics["elsewhere_false_positive_rate"] for metrics in logged] == rates
    assert "elsewhere_false_positive_rate" not in reported.published[0][2]


def test_the_page_has_its_provenance(sample: Results) -> None:
    text = Page(sample.page).text
    split = read_json(sample.root / "metrics/split.json")
    params = yaml.safe_load((sample.root / "params.yaml").read_text())
    assert split["split_sha256"] in text
    assert f"git checkout {COMMIT[:12]}" in text
    assert "2026-09-21 14:13 UTC" in text
    assert "AMD EPYC, 2 threads, bf16" in text
    for section in report.LOGGED_SECTIONS:
        values = params[section]
        for key in values if isinstance(values, dict) else ():
            assert f"{section}.{key}" in text
    assert "split.exclude_relatives true" in text


def test_the_sample_is_marked_and_photos_are_not(reported: Reporter, sample: Results) -> None:
    drawn_sample, photos = Page(sample.page), Page(reported("photos", is_sample=False).page)
    assert "drawn-sample" in drawn_sample.values("id")
    assert "test images of the drawn sample" in drawn_sample.text
    assert "drawn-sample" not in photos.values("id")
    before, heading, after = photos.text.rpartition("Provenance")
    assert heading
    assert after
    assert "drawn" not in before


def test_of_a_refitted_model_it_is_said_whose_scores_those_on_valid_are(reported: Reporter, sample: Results) -> None:
    results = write_results(reported.root / "refitted", images())
    write_photos_of(results.root, images())
    set_params(results, {"refit": True}, "train")
    report.main(results.arguments())
    for name in ("metrics/report.html", "docs/model-card.md"):
        assert "on valid is that of the network before" in (results.root / name).read_text()
        assert "that of the network before" not in (sample.root / name).read_text()


@pytest.mark.parametrize("label", [REAL, FAKE])
def test_a_test_side_of_one_class_has_a_report_without_auc(reported: Reporter, label: int) -> None:
    rows = [row if row.side != "test" or row.label == label else replace(row, side="excluded") for row in images()]
    page = Page(reported(f"only {label}", rows).page)
    assert "On 20 test images of the drawn sample the scores are undefined: both real and fake images are needed." in page.text
    assert "the models cannot be compared" in page.text


def test_related_images_on_two_sides_are_warned_of(reported: Reporter, sample: Results) -> None:
    rows = images()
    one, other = next(row for row in rows if row.side == "train"), next(row for row in rows if row.side == "test")
    assert "related-images" not in Page(sample.page).values("id")
    leaking = reported("leaking", pairs=[PairRecord(one.path, other.path, "photo", 9)])
    page = Page(leaking.page)
    assert "related-images" in page.values("id")
    assert "1 between train and test" in page.text
    assert "Related images lie on two sides" in (leaking.root / "docs/model-card.md").read_text()


def test_any_file_name_is_only_a_name(reported: Reporter) -> None:
    names = ['<script>alert("가족")</script>.jpg', "\"quoted' & co.jpg", "{{ 7 * 7 }} 얼굴.jpg"]
    rows = images()
    fakes = [at for at, row in enumerate(rows) if row.side == "test" and row.label == FAKE]
    for at, name in zip(fakes, names, strict=False):
        rows[at] = replace(rows[at], path=f"test/fake/{name.replace('/', '∕')}")
    results = reported("named", rows, skill=-3.0, params={"mistakes": 100, "thumbnails": False})
    page = Page(results.page)
    assert not [tag for tag, _, _ in page.attributes if tag == "script"]
    for name in names:
        assert name.replace("/", "∕") in page.text


def test_a_name_does_not_turn_the_text_around_it(reported: Reporter) -> None:
    """Shown from right to left, as U+202E asks for, this one would end in .jpg."""
    rows = [replace(row, path=f"{row.path}\u202egpj.exe") for row in images()]
    results = reported("turned", rows, skill=-3.0, params={"mistakes": 1, "thumbnails": False})
    assert r"\u202egpj.exe" in results.page
    assert "\u202e" not in results.page


def test_photos_are_shown_only_where_a_parameter_says_so(reported: Reporter) -> None:
    with_photos = Page(reported("with", params={"thumbnails": True, "mistakes": 3}, skill=0.0).page)
    thumbnails = [value for value in with_photos.values("src") if value.startswith("data:image/jpeg;base64,")]
    assert len(thumbnails) == 6
    for thumbnail in thumbnails:
        with Image.open(io.BytesIO(base64.b64decode(thumbnail.partition(",")[2]))) as image:
            image.verify()
    without = reported("without", params={"thumbnails": False, "mistakes": 3}, skill=0.0).page
    assert "data:image" not in without
    assert "left out, as the photos may show real people" in Page(without).text


def test_without_thumbnails_the_photos_are_not_needed(tmp_path: Path, command: Command, reported: Reporter) -> None:
    results = write_results(tmp_path, images())
    set_params(results, {"thumbnails": False})
    assert command(report, *results.arguments()) == Outcome(0, "", "")


def test_a_photo_that_is_gone_is_named(tmp_path: Path, command: Command, reported: Reporter) -> None:
    results = write_results(tmp_path, images(), skill=0.0)
    set_params(results, {"thumbnails": True})
    outcome = command(report, *results.arguments())
    assert outcome.status == 1
    assert re.fullmatch(r"error: \S+/photos/test/\S+\.jpg: No such file or directory\n", outcome.err)
    assert not [model for model, *_ in reported.published if tmp_path in model.parents]


@pytest.mark.parametrize("count", [0, 2, 1000])
def test_so_many_mistakes_are_listed(reported: Reporter, count: int) -> None:
    results = reported(f"mistakes {count}", params={"mistakes": count, "thumbnails": False}, skill=0.5)
    text = results.page
    listed = re.findall(r"<code>(test/[^<]+)</code>", text)
    rows = read_rows(results.root / "data/predictions.csv", PredictionRecord)
    wrong = {
        name: [row.path for row in rows if row.side == "test" and (getattr(row, f"{name}_p_fake") >= 0.5) != row.label]
        for name in OBJECTIVE_NAMES
    }
    assert len(listed) == sum(min(count, len(paths)) for paths in wrong.values())
    assert set(listed) <= {path for paths in wrong.values() for path in paths}
    assert ("report.mistakes is 0" in text) == (count == 0)


def test_no_credential_is_in_the_page_or_the_card(reported: Reporter) -> None:
    results = reported("secret")
    set_params(results, {"weights": "https://me:geheim77@host/w.safetensors"}, "model")
    report.main(results.arguments())
    for name in ("metrics/report.html", "docs/model-card.md"):
        text = (results.root / name).read_text()
        assert "geheim77" not in text
        assert "https://***@host/w.safetensors" in text


def test_scores_and_files_are_published_to_both_runs(reported: Reporter, sample: Results) -> None:
    found = read_json(sample.root / "metrics/scores.json")
    published = [call for call in reported.published if sample.root in call[0].parents]
    assert [model.name for model, *_ in published] == list(OBJECTIVE_NAMES)
    for name, (_, split, metrics, files, tags) in zip(OBJECTIVE_NAMES, published, strict=True):
        model = found[name]
        assert split == sample.root / "data/split.csv"
        for key in (
            "accuracy",
            "roc_auc",
            "brier",
            "ece",
            "equal_error_rate",
            "precision",
            "recall",
            "f1",
            "average_precision",
        ):
            assert metrics[f"test_{key}"] == model["test"][key]
        for key in ("accuracy", "roc_auc"):
            assert [metrics[f"test_{key}_{end}"] for end in ("low", "high")] == model["intervals"][key]
        counts = [
            [metrics["test_true_real"], metrics["test_false_fake"]],
            [metrics["test_false_real"], metrics["test_true_fake"]],
        ]
        assert counts == model["confusion_matrix"]
        assert metrics["test_argmax_accuracy"] == model["argmax_rule"]["accuracy"]
        assert metrics["test_recall_easy"] == model["slices"]["difficulty"]["easy"]["recall"]
        for key in ("accuracy", "roc_auc"):
            assert metrics[f"test_web_{key}"] == model["web"][key]
            assert [metrics[f"test_web_{key}_{end}"] for end in ("low", "high")] == model["web"]["intervals"][key]
            assert metrics[f"valid_web_{key}"] == model["valid_web"][key]
        assert metrics["test_web_drop"] == model["web"]["drop"]["difference"]
        assert metrics["test_same_table_roc_auc"] == model["slices"]["jpeg_table"]["same"]["roc_auc"]
        assert metrics["test_pairwise_accuracy"] == model["linked_pairs"]["pairwise_accuracy"]
        assert metrics["valid_pairwise_accuracy"] == model["valid_linked_pairs"]["pairwise_accuracy"]
        assert metrics["train_valid_gap"] == model["train_valid_gap"]
        assert not {"valid_accuracy", "valid_roc_auc"} & metrics.keys(), "the first is the training's, per epoch"
        assert metrics["test_roc_auc_jpeg_50"] == model["perturbed"]["jpeg_50"]["roc_auc"]
        assert tags == {"data": "sample", "data.root": str(sample.root / "photos"), "candidate": str(name == "ce").lower()}
        assert {path.name for path in files} == {f"{name}.png" for name in FIGURES} | {
            "scores.json",
            "predictions.csv",
            "report.html",
            "split.csv",
        }
        assert all(path.is_file() for path in files)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"mistakes": -1}, "report.mistakes: -1: "),
        ({"mistakes": "8"}, "report.mistakes: '8': "),
        ({"thumbnails": 1}, "report.thumbnails: 1: "),
        ({"thumb": True}, "report.thumb: unknown parameter"),
    ],
)
def test_a_wrong_parameter_is_named(tmp_path: Path, command: Command, changes: dict[str, Any], complaint: str) -> None:
    results = write_results(tmp_path, images())
    set_params(results, changes)
    outcome = command(report, *results.arguments())
    assert outcome.status == 2
    assert complaint in outcome.err
    assert not (tmp_path / "metrics/report.html").exists()


def test_where_the_score_comes_from_is_shown_of_models_that_say_so(reported: Reporter, sample: Results) -> None:
    """CE's evidence lies in the replaced parts, BCE's anywhere; in some images the nose is not seen."""
    assert "Where the score comes from" not in sample.page
    results = reported("evidence", evidence=OBJECTIVE_NAMES)
    text, scores = Page(results.page).text, read_scores(results.root / "metrics/scores.json")
    published = [metrics for model, _, metrics, *_ in reported.published if results.root in model.parents]
    for model, metrics in zip(scores.models.values(), published, strict=True):
        for side, found in (("test", model.localization), ("valid", model.valid_localization)):
            assert found is not None
            assert metrics[f"{side}_localization"] == found.within_photo_accuracy
            assert (
                f"{score(found.within_photo_accuracy)} {bounds(found.interval)} {found.pairs} pairs in {found.fakes} fakes"
                in text
            )
            assert f"{score(found.over_mean_map.difference)} {bounds(found.over_mean_map.interval)} mean map " in text
        assert model.localization is not None
        for part in model.localization.parts.values():
            assert f"{score(part.roc_auc)} {bounds(part.roc_auc_interval)} {part.replaced} against {part.untouched}" in text
        alarms = model.localization.false_positive_rate
        assert f"{score(alarms)} {bounds(model.localization.false_positive_rate_interval)} 20 real photos" in text
    assert "Where the score of cross-entropy comes from may be read as what was edited" in text
    assert "Where the score of BCE comes from must not be read as what was edited" in text


def test_one_model_alone_may_say_where_its_score_comes_from(reported: Reporter) -> None:
    text = Page(reported("evidence of one", evidence=["ce"]).page).text
    assert "The network trained with BCE does not say where its score comes from." in text


def test_scores_of_another_version_are_refused(tmp_path: Path, command: Command) -> None:
    results = write_results(tmp_path, images())
    write_json(tmp_path / "metrics/scores.json", {"data": "sample", "ce": {}, "bce": {}})
    outcome = command(report, *results.arguments())
    assert outcome == Outcome(
        1, "", f"error: {tmp_path}/metrics/scores.json: pairs_across_sides: missing; `dvc repro evaluate` writes it anew\n"
    )
