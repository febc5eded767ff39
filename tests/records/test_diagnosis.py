"""The records of diagnosed networks."""

import json
import math

import numpy as np
import pytest

from diagnoses import tiny_diagnosis
from equiseg.diagnosis.result import record
from equiseg.records.diagnosis import (
    CENTER,
    PIXEL,
    DiagnosisPage,
    DiagnosisRecord,
    NetworksRecord,
    save_networks,
)
from equiseg.records.envelope import write_record


@pytest.fixture(scope="module")
def diagnosis():
    return tiny_diagnosis()


def test_the_record_has_the_numbers_of_the_diagnosis(diagnosis):
    known = DiagnosisRecord.of(json.loads(json.dumps(record(diagnosis), allow_nan=False)))
    assert known.classes == diagnosis.classes
    np.testing.assert_allclose(known.iou_K, diagnosis.evaluation.score.iou_K.numpy())
    np.testing.assert_array_equal(known.confusion_KK, diagnosis.evaluation.confusion_KK.numpy())
    np.testing.assert_allclose(known.center_cosines_KK, diagnosis.measures.cosines_KK.numpy())
    assert known.numbers == pytest.approx(diagnosis.numbers, nan_ok=True)
    assert known.pairs == diagnosis.pairs
    for branch in (PIXEL, CENTER):
        ours, theirs = known.gradients[branch], diagnosis.gradients[branch]
        np.testing.assert_allclose(ours.mass_K, theirs.mean_mass_K.numpy())
    assert math.isnan(known.center_cosines_KK[6, 0])  # the class that never occurs


def test_a_page_without_a_version_takes_its_names_from_the_folders(diagnosis, tmp_path):
    values = {"run": "out/ceco/seed0", "data": "cards/rooms.yaml", "split": "val"}
    values |= record(diagnosis)
    values["baseline"] = {"run": "out/plain/seed0"} | record(diagnosis)
    (tmp_path / "diagnosis.json").write_text(json.dumps(values))
    page = DiagnosisPage.load(tmp_path / "diagnosis.json")
    assert list(page.networks) == ["plain", "ceco"]
    assert (page.data, page.split, page.curves) == ("rooms", "val", {})


def test_a_page_that_lacks_numbers_is_refused(tmp_path):
    write_record(tmp_path / "diagnosis.json", "diagnosis", {"run": "r", "data": "d"})
    with pytest.raises(ValueError, match=r"diagnosis.json: .* lacks classes, .*equiseg diagnose"):
        DiagnosisPage.load(tmp_path / "diagnosis.json")


def test_networks_that_could_not_be_opened_leave_the_reason(diagnosis, tmp_path):
    save_networks(tmp_path / "networks.json", {"ceco": record(diagnosis, margins=False)}, "where")
    loaded = NetworksRecord.load(tmp_path / "networks.json")
    assert (list(loaded.networks), loaded.where, loaded.problem) == (["ceco"], "where", "")
    save_networks(tmp_path / "networks.json", {}, problem="no such weights")
    assert NetworksRecord.load(tmp_path / "networks.json").problem == "no such weights"
