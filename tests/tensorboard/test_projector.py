import numpy as np
from google.protobuf import text_format
from PIL import Image
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

from kerasmlp.tensorboard import projector


def test_only_as_many_images_are_written_as_fit_into_the_sprite(tmp_path, monkeypatch):
    monkeypatch.setattr(projector, "SPRITE_SIDE", 81)
    images = np.zeros((40, 20, 15, 3), np.uint8)
    images[:, 0, 0] = np.arange(40)[:, None]
    labels = np.arange(40)
    activations = np.arange(80, dtype=np.float32).reshape(40, 2)
    projector.write(tmp_path, activations, images, labels, labels)
    written = np.frombuffer((tmp_path / "hidden.bytes").read_bytes(), "<f4")
    assert np.array_equal(written.reshape(20, 2), activations[:20])
    config = text_format.Parse((tmp_path / "projector_config.pbtxt").read_text(), ProjectorConfig())
    assert list(config.embeddings[0].tensor_shape) == [20, 2]
    assert list(config.embeddings[0].sprite.single_image_dim) == [15, 20]
    with Image.open(tmp_path / "sprite.png") as sprite:
        assert sprite.size == (5 * 15, 4 * 20)
        red, green, blue = sprite.getpixel((4 * 15, 3 * 20))
        black = sprite.getpixel((4 * 15 + 1, 3 * 20))
        assert (red, green, blue) == tuple(round(each + 19 * (1 - each / 255)) for each in black)
    assert len((tmp_path / "labels.tsv").read_text().splitlines()) == 21


def test_too_large_images_and_activations_of_zero_write_no_files(tmp_path):
    labels = np.arange(3)
    images = np.zeros((3, 1, projector.SPRITE_SIDE + 1, 1), np.uint8)
    projector.write(tmp_path, np.ones((3, 2), np.float32), images, labels, labels)
    projector.write(tmp_path, np.zeros((3, 2), np.float32), images[:, :, :4], labels, labels)
    assert list(tmp_path.iterdir()) == []


def test_the_black_of_an_image_has_the_colour_of_its_label(tmp_path):
    images = np.zeros((4, 2, 2, 1), np.uint8)
    images[:, 0, 0] = 255
    labels = np.array([7, 3, 7, 5])
    projector.write(tmp_path, np.ones((4, 2), np.float32), images, labels, labels)
    with Image.open(tmp_path / "sprite.png") as sprite:
        places = [(0, 0), (2, 0), (0, 2), (2, 2)]
        assert {sprite.getpixel(place) for place in places} == {(255, 255, 255)}
        seven, three, again, five = (sprite.getpixel((x + 1, y + 1)) for x, y in places)
    # A third of the circle of hues is between them.
    assert [three, five, seven, again] == [(166, 0, 0), (0, 166, 0), (0, 0, 166), (0, 0, 166)]


def test_each_channel_of_an_image_is_shown(tmp_path):
    images = np.array([10, 100, 255], np.uint8).reshape(1, 1, 1, 3)
    projector.write(tmp_path, np.ones((1, 1), np.float32), images, np.array([4]), np.array([4]))
    with Image.open(tmp_path / "sprite.png") as sprite:
        red = round(166 + 10 * (1 - 166 / 255))
        assert sprite.size == (1, 1) and sprite.getpixel((0, 0)) == (red, 100, 255)


def test_at_most_2000_points_are_shown_with_label_and_prediction(tmp_path):
    images, labels = np.zeros((2001, 1, 1, 1), np.uint8), np.arange(2001) % 10
    projector.write(tmp_path, np.ones((2001, 1), np.float32), images, labels, labels + 1)
    names, *lines = (tmp_path / "labels.tsv").read_text().splitlines()
    assert names == "label\tpredicted"
    assert lines == [f"{label}\t{label + 1}" for label in labels[:2000]]
    assert len((tmp_path / "hidden.bytes").read_bytes()) == 4 * 2000


def test_an_image_as_large_as_the_sprite_is_shown(tmp_path):
    images = np.zeros((2, 1, projector.SPRITE_SIDE, 1), np.uint8)[:, :, :8192]
    projector.write(tmp_path, np.ones((2, 1), np.float32), images, np.zeros(2), np.zeros(2))
    with Image.open(tmp_path / "sprite.png") as sprite:
        assert sprite.size == (8192, 2)
