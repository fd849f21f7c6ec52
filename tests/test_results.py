"""Records: what is written is what is read, and what is measured alike."""

import csv
import json
import math
from html.parser import HTMLParser

import numpy as np
import pytest

import multigan_lib as mg
from multigan_lib import paths, results
from multigan_lib.results import How, Record

FID = How(features="mnist-0123abcd", n=1000, reference="mnist test[8000:]")


def record(**changes):
    run = {
        "seed": 0,
        "seconds": 10.0,
        "images_per_second": 640.0,
        "device": "cpu",
        "commit": "0123456789",
        "dirty": False,
    }
    values = {
        "recipe": "gan_test",
        "about": "A [ test ].",
        "command": "python -m multigan_lib run gan_test --seeds 2",
        "config": {"steps": 10, "betas": (0.5, 0.999)},
        "seeds": [0, 1],
        "metrics": {"fid": [3.0, 5.0], "kl": [math.inf, math.nan]},
        "how": {"fid": FID, "kl": How()},
        "runs": [run, run | {"seed": 1, "seconds": 20.0}],
        "versions": {"torch": "2"},
        "curves": {"fid": {"steps": [5, 10], "values": [[9.0, 3.0], [8.0, 5.0]]}},
    }
    return Record(**(values | changes))


@pytest.fixture
def project(tmp_path, monkeypatch):
    """An empty project, so that no record of the real one is read or touched."""
    monkeypatch.setattr(paths, "assets", lambda kind: tmp_path / kind)
    monkeypatch.setattr(paths, "REPOSITORY", tmp_path)
    return tmp_path


def test_a_record_comes_back_as_it_was_written(project):
    path = results.write(record(), picture=b"png")
    assert path == project / "results" / "gan_test.json"
    assert sorted(p.name for p in path.parent.iterdir()) == [
        "gan_test.json",
        "gan_test.png",
    ]
    back = mg.results.read("gan_test")
    assert back.image.read_bytes() == b"png"
    assert back.about == "A [ test ]."
    assert back.config == {"steps": 10, "betas": [0.5, 0.999]}
    assert back.metrics["fid"] == [3.0, 5.0]
    assert back.metrics["kl"][0] == math.inf and math.isnan(back.metrics["kl"][1])
    assert back.how == record().how and back.runs == record().runs
    assert back.mean("fid") == 4 and math.isclose(back.std("fid"), 2**0.5)
    steps, values = back.series("fid")
    assert steps.tolist() == [5, 10] and values.shape == (2, 2)
    assert back.per_run("seconds").sum() == 30
    assert results.names() == ["gan_test"]


def test_the_file_is_strict_json_with_how_beside_the_values(project):
    text = results.write(record()).read_text()
    assert "NaN" not in text and "Infinity" not in text
    assert '"values": [3.0, 5.0]' in text
    assert json.loads(text)["metrics"]["fid"] == {
        "values": [3.0, 5.0],
        "features": "mnist-0123abcd",
        "n": 1000,
        "reference": "mnist test[8000:]",
    }


def test_a_failed_write_leaves_the_old_record(project):
    results.write(record())
    with pytest.raises(TypeError):
        results.write(record(config={"bad": object()}))
    assert results.read("gan_test").mean("fid") == 4
    assert len(list((project / "results").iterdir())) == 1


def test_one_seed_has_no_standard_deviation():
    one = record(seeds=[0], metrics={"fid": [3.0]}, how={"fid": FID})
    assert math.isnan(one.std("fid"))
    assert "±" not in str(one)


@pytest.mark.filterwarnings("error")
def test_an_infinite_value_has_no_standard_deviation_and_no_warning():
    assert math.isnan(record(metrics={"kl": [math.inf, 1.0]}).std("kl"))


def test_provenance_names_seeds_time_commit_and_command():
    line = record().provenance
    for part in ("gan_test", "2 seeds", "15 s", "cpu", "0123456", "--seeds 2"):
        assert part in line
    assert "changes" not in line
    dirty = record(runs=[{**record().runs[0], "dirty": True, "commit": None}])
    assert "with changes" in dirty.provenance


def test_a_missing_record_names_those_that_exist_and_the_command(project):
    results.write(record())
    with pytest.raises(FileNotFoundError) as error:
        results.read("gan_ring")
    assert "gan_test" in str(error.value)
    assert "python -m multigan_lib run gan_ring" in str(error.value)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"metrics": {"fid": 1}}'])
def test_a_damaged_record_is_named(project, text):
    path = results.write(record())
    path.write_text(text)
    with pytest.raises(ValueError, match=r"gan_test\.json is damaged"):
        results.read("gan_test")


def test_an_unknown_metric_names_those_there_are():
    with pytest.raises(ValueError, match="fid, kl"):
        record().mean("modes")
    with pytest.raises(ValueError, match="it has fid"):
        record().series("kl")


class Cells(HTMLParser):
    """Texts of a table's cells."""

    def __init__(self, page):
        super().__init__()
        self.rows = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        if tag == "tr":
            self.rows.append([])

    def handle_data(self, data):
        self.rows[-1].append(data)


def publish(project, text):
    folder = project / "published"
    folder.mkdir(exist_ok=True)
    (folder / "paper.csv").write_text(text)


def test_scores_of_different_feature_networks_never_share_a_column(project):
    publish(
        project,
        "model,metric,value,std,features,n,source\n"
        "DCGAN,fid,28.721,,Inception,10000,Thesis Table 2\n"
        "MGAN,fid,20.5,0.5,Inception,10000,Thesis Table 2\n"
        "MGAN,is,8.33,,Inception,,MGAN Table 1\n",
    )
    other = record(recipe="other", how={"fid": How("mnist-ffff", 1000), "kl": How()})
    table = results.table([record(), other], ["fid"], published=["paper"])
    assert table.header == [
        "model",
        "source",
        "fid (mnist-0123abcd, n = 1,000, mnist test[8000:])",
        "fid (mnist-ffff, n = 1,000)",
        "fid (Inception, n = 10,000)",
    ]
    assert table.rows == [
        ["gan_test", "recorded, 2 seeds", "4.000 ± 1.414", "–", "–"],
        ["other", "recorded, 2 seeds", "–", "4.000 ± 1.414", "–"],
        ["DCGAN", "Thesis Table 2", "–", "–", "28.721"],
        ["MGAN", "Thesis Table 2", "–", "–", "20.5 ± 0.5"],
    ]


def test_table_as_html_and_markdown():
    table = results.Table(["a|b", "<c>"], [["1 & 2", "x"]])
    assert Cells(table._repr_html_()).rows == [["a|b", "<c>"], ["1 & 2", "x"]]
    assert str(table).splitlines() == [
        "| a\\|b | <c> |",
        "| --- | --- |",
        "| 1 & 2 | x |",
    ]


def test_table_errors(project):
    with pytest.raises(FileNotFoundError, match="no table 'paper'"):
        results.table([record()], ["fid"], published=["paper"])
    publish(project, "model,value\nDCGAN,1\n")
    with pytest.raises(ValueError, match="lacks the columns features, metric, source"):
        results.table([record()], ["fid"], published=["paper"])
    with pytest.raises(ValueError, match="metric modes"):
        results.table([record()], ["fid", "modes"])


def test_an_installed_library_writes_to_the_cache_and_reads_both(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "REPOSITORY", None)
    monkeypatch.setattr(paths, "assets", lambda kind: tmp_path / "package" / kind)
    monkeypatch.setattr(paths, "cache", lambda: tmp_path / "cache")
    assert results.write(record()).parent == tmp_path / "cache" / "results"
    results.write(record(recipe="shipped"), folder=tmp_path / "package" / "results")
    assert results.names() == ["gan_test", "shipped"]
    assert np.isclose(results.read("shipped").mean("fid"), 4)


@pytest.mark.parametrize(
    "path", sorted(paths.assets("published").glob("*.csv")), ids=lambda path: path.stem
)
def test_published_tables_can_be_shown(path):
    with path.open(newline="", encoding="utf-8") as file:
        metrics = sorted({entry["metric"] for entry in csv.DictReader(file)})
    table = results.table([], metrics, published=[path.stem])
    assert len(table.rows) > 1
    assert all("Table" in source for _, source, *_ in table.rows)
