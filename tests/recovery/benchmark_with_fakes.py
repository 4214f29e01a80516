"""The command line with the models of `fake_models`, as a program of its own for tests."""

from mmm_xgen.cli import main
from mmm_xgen.recovery import plots
from tests.recovery import fake_models

if __name__ == "__main__":
    if not fake_models.FAKES:
        raise SystemExit("no models")
    # Pictures take longer than the fits.
    plots.plot_study = lambda *found: []
    main()
