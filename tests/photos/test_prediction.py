import pytest

from kerasmlp.models.mlp import MLP
from kerasmlp.photos.prediction import predict


def test_a_model_of_colour_images_is_an_error(tmp_path):
    model = MLP()
    model.build((None, 8, 8, 3))
    with pytest.raises(ValueError, match=r"expected a model of grey images; .*\(8, 8, 3\)"):
        predict(model, [str(tmp_path)])


def test_a_folder_without_images_is_an_error(tmp_path):
    model = MLP()
    model.build((None, 8, 8, 1))
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ValueError, match="expected a folder with images"):
        predict(model, [str(tmp_path)])
