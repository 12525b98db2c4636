import pytest

from helpers import assert_same, cases, compiled, run, state, validation_batches
from kerasmlp.callbacks.average import EvaluateAverage
from kerasmlp.loops import LOOPS
from small_models import average, dense

VARIANTS = [*((loop, 1, False) for loop in LOOPS), ("fit", 4, True), ("graph", 4, True)]


def test_no_epoch_leaves_the_weights_as_they_are(digits):
    model = compiled(dense, optimizer=average)
    run("eager", model, digits, epochs=1, validation=False)
    model.trainable_variables[0].assign_add(model.trainable_variables[0])
    before = state(model)
    run("eager", model, digits, epochs=0, validation=False)
    assert_same(state(model), before)


@pytest.mark.parametrize("variant", cases(VARIANTS, default=VARIANTS[2:3]), ids=str)
def test_validation_uses_the_averaged_weights_and_training_does_not_change(variant, digits):
    loop, steps_per_execution, jit_compile = variant
    compilation = {"steps_per_execution": steps_per_execution, "jit_compile": jit_compile}
    model, plain = (compiled(dense, optimizer=average, **compilation) for _ in range(2))
    history = run(loop, model, digits, callbacks=[EvaluateAverage()])
    plain_history = run(loop, plain, digits)

    # At the end of the training the weights become the averages.
    evaluated = model.evaluate(validation_batches(digits), return_dict=True, verbose=0)
    for name, value in evaluated.items():
        assert history[f"val_{name}"][-1] == value
    assert all(
        one != other for one, other in zip(history["val_loss"], plain_history["val_loss"], strict=True)
    )

    assert_same(state(model), state(plain))
    for name in ("loss", "accuracy"):
        assert history[name] == plain_history[name]


def test_without_an_average_validation_does_not_change(digits):
    model, plain = (compiled(dense) for _ in range(2))
    assert run("fit", model, digits, callbacks=[EvaluateAverage()]) == run("fit", plain, digits)
    assert_same(state(model), state(plain))
