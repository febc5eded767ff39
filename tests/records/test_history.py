import math

from equiseg.records.history import history_rows, mean_curve, read_histories, read_history


def test_a_resumed_run_goes_on_and_its_last_value_counts(tmp_path):
    for version, lines in {
        2: "0,44,1.5,\n1,89,1.0,\n1,89,,0.25\n",
        10: "1,89,0.9,\n2,134,0.8,0.5\n",
    }.items():
        folder = tmp_path / "logs" / f"version_{version}"
        folder.mkdir(parents=True)
        (folder / "metrics.csv").write_text("epoch,step,loss,val/miou\n" + lines)
    assert read_history(tmp_path) == {
        "loss": {1: 1.5, 2: 0.9, 3: 0.8},
        "val/miou": {2: 0.25, 3: 0.5},
    }


def test_a_run_without_logs_has_no_history(tmp_path):
    assert read_history(tmp_path) == {}


def test_the_mean_ends_where_the_shortest_run_ends_and_skips_nan():
    curves = [{1: 0.0, 2: 1.0, 3: math.nan}, {1: 1.0, 2: 2.0, 3: 1.0, 4: 9.0}]
    assert mean_curve(curves) == {1: 0.5, 2: 1.5}
    assert mean_curve([]) == {}


def test_rows_hold_the_wanted_values_of_every_run(tmp_path):
    for seed in (0, 1):
        logs = tmp_path / f"seed{seed}" / "logs" / "version_0"
        logs.mkdir(parents=True)
        lines = f"0,9,1.5,,0.1\n1,19,{seed},0.25,\n"
        (logs / "metrics.csv").write_text("epoch,step,loss,val/miou,val_iou/wall\n" + lines)
    histories = read_histories({"ceco": [tmp_path / "seed0", tmp_path / "seed1"]})
    rows = history_rows(histories, ("val/", "loss"))
    assert rows == [
        {"variant": "ceco", "run": "seed0", "epoch": 1, "loss": 1.5},
        {"variant": "ceco", "run": "seed0", "epoch": 2, "loss": 0.0, "val/miou": 0.25},
        {"variant": "ceco", "run": "seed1", "epoch": 1, "loss": 1.5},
        {"variant": "ceco", "run": "seed1", "epoch": 2, "loss": 1.0, "val/miou": 0.25},
    ]
