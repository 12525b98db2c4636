"""Training programs with exactly one mistake each, as users make them, over all kinds of model.

Most are a loop as tutorials publish it, `published`, with its own optimizer or the compiled one; what
users get wrong is an option of it. `in_graph` hides whole epochs in a graph; train steps call `take`.
The comments name where such a mistake was found.
"""

import inspect
from functools import partial

import keras
import numpy as np
import tensorflow as tf
from keras.losses import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    MeanSquaredError,
    SparseCategoricalCrossentropy,
)
from keras.optimizers import SGD, Adam, AdamW, LossScaleOptimizer, Nadam, RMSprop

from case import Case
from kerasmlp import loops
from kinds import convolution, data_of, dense, plain, recurrent, subclass, two

entropy = SparseCategoricalCrossentropy()
of_logits = SparseCategoricalCrossentropy(from_logits=True)
binary = BinaryCrossentropy()
squares = MeanSquaredError()


def of_both(kind=1.0, size=0.3):
    """Return the loss of the two outputs with these weights."""

    def loss(y, y_pred):
        parts = entropy(y["kind"], y_pred["kind"]), squares(y["size"], y_pred["size"])
        return kind * parts[0] + size * parts[1]

    return loss


# How users train.


def take(
    model,
    batch,
    optimizer=None,
    loss=None,
    *,
    training=True,
    penalties=1,
    weighted=True,
    change=None,
    variables=None,
    gradients=None,
    updates=1,
    calls=1,
    metrics="before",
):
    """Train on a batch as tutorials do. Return the loss.

    Args:
        model: the model.
        batch: its `(x, y)` or `(x, y, sample_weight)`.
        optimizer: the loop's own; None for the compiled one.
        loss: the loss of `(y, y_pred)`; None for the compiled one.
        training: None if the model is called without it.
        penalties: how often the losses of the layers are added.
        weighted: whether the sample weights are taken.
        change: changes `(x, y)`.
        variables: gives the trained variables of the model.
        gradients: changes the gradients.
        updates: how often the gradients are applied.
        calls: how often the model is called.
        metrics: of the predictions `before` or `after` the update; `swapped` with the labels; `no loss`.
    """
    x, y, weights = keras.utils.unpack_x_y_sample_weight(batch)
    x, y = (x, y) if change is None else change(x, y)
    optimizer = optimizer or model.optimizer
    with tf.GradientTape() as tape:
        y_pred = model(x, training=training)
        if loss is None:
            value = model.compute_loss(x, y, y_pred, weights)
        else:
            value = loss(y, y_pred) if weights is None or not weighted else loss(y, y_pred, weights)
            value += penalties * sum(model.losses)
    trained = model.trainable_variables if variables is None else variables(model)
    found = tape.gradient(value, trained)
    found = found if gradients is None else gradients(found)
    for _ in range(updates):
        optimizer.apply_gradients(zip(found, trained, strict=True))
    for _ in range(calls - 1):
        y_pred = model(x, training=training)
    if metrics == "after":
        y_pred = model(x, training=training)
        value = loss(y, y_pred)
    if isinstance(y_pred, dict) and loss is not None:  # the compiled loss has a metric of each output
        model.compute_loss(x, y, y_pred, weights)
    if metrics == "no loss":
        model.compute_metrics(x, y, y_pred)
    elif metrics == "swapped":
        loops.update_metrics(model, value, x, y_pred, y[:, None])
    else:
        loops.update_metrics(model, value, x, y, y_pred, weights)
    return value


def published(
    optimizer=None,
    loss=None,
    *,
    hooks=False,
    anew=False,
    reset=True,
    before=None,
    before_epoch=None,
    before_step=None,
    order=None,
    times=1,
    limit=None,
    validate=None,
    report=None,
    **step_options,
):
    """Return a plain Python loop around a step in a `tf.function`.

    Args:
        optimizer: makes the optimizer of the loop; None for the compiled one.
        loss: as for `take`, as are `step_options`.
        hooks: whether it calls the callbacks.
        anew: whether each epoch has an optimizer of its own.
        reset: whether each epoch resets the metrics.
        before: called with the model and the data.
        before_epoch: called with the model, the optimizer and the number of the epoch.
        before_step: called with the optimizer and the number of the step over all epochs.
        order: gives the batches of the data for an epoch.
        times: how often each batch is trained on.
        limit: the number of steps that are trained.
        validate: called with the model, the data and the validation data; returns metrics.
        report: changes the metrics of an epoch, given the losses and the sizes of its batches.
    """
    order = order or (lambda train, epoch: train)

    def loop(model, train, validation, epochs, callbacks):
        heard = callbacks if hooks else []
        heard = keras.callbacks.CallbackList(list(heard), model=model, epochs=epochs, steps=len(train))

        def start():
            own = optimizer() if optimizer else model.optimizer

            @tf.function(input_signature=train.epoch(0).element_spec)
            def step(*batch):
                return take(model, batch, own, loss, **step_options)

            @tf.function(input_signature=train.epoch(0).element_spec)
            def look(*batch):
                return take(model, batch, own, loss, updates=0, **step_options)

            return own, step, look

        own, step, look = start()
        history, number = {}, 0
        if before:
            before(model, train)
        heard.on_train_begin()
        for epoch in range(epochs):
            if reset:
                model.reset_metrics()
            if anew and epoch:
                own, step, look = start()
            heard.on_epoch_begin(epoch)
            if before_epoch:
                before_epoch(model, own, epoch)
            losses, sizes = [], []
            for in_epoch, batch in enumerate(order(train, epoch)):
                heard.on_train_batch_begin(in_epoch)
                if before_step:
                    before_step(own, number)
                run = step if limit is None or number < limit else look
                for _ in range(times):
                    losses.append(float(run(*batch)))
                sizes.append(len(tf.nest.flatten(batch)[0]))
                heard.on_train_batch_end(in_epoch)
                number += 1
            logs = {name: float(value) for name, value in model.get_metrics_result().items()}
            if report and losses:
                logs |= report(np.array(losses), np.array(sizes))
            if validation is not None:
                validated = (validate or evaluated)(model, train, validation)
                logs |= {f"val_{name}": float(value) for name, value in validated.items()}
            for name, value in logs.items():
                history.setdefault(name, []).append(value)
            heard.on_epoch_end(epoch, logs)
        heard.on_train_end()
        return history

    return loop


def evaluated(model, train, validation):
    return model.evaluate(validation, verbose=0, return_dict=True)


def in_graph(optimizer=None, loss=None, *, order=None, **step_options):
    """Return a loop that hides whole epochs in a graph over a dataset. It calls no hooks."""
    order = order or (lambda train, epoch: train.epoch(epoch))

    def loop(model, train, validation, epochs, callbacks):
        loops.build(model, train)
        own = optimizer() if optimizer else model.optimizer
        own.build(model.trainable_variables)

        @tf.function(reduce_retracing=True)
        def run(batches):
            for batch in batches:
                take(model, batch, own, loss, **step_options)
            return model.get_metrics_result()

        history = {}
        for epoch in range(epochs):
            model.reset_metrics()
            for name, value in run(order(train, epoch)).items():
                history.setdefault(name, []).append(float(value))
        return history

    return loop


def step_of(**options):
    """Return a train step."""

    def step(model, x, y, sample_weight=None):
        batch = (x, y) if sample_weight is None else (x, y, sample_weight)
        return take(model, batch, **options)

    return step


# Losses.


def sum_of_squares(y, y_pred):
    return tf.reduce_sum(tf.square(y[:, None] - y_pred))


def broadcast_squares(y, y_pred):
    return tf.reduce_mean(tf.square(y - y_pred))


def broadcast_binary(y, y_pred):
    y, p = tf.cast(y, tf.float32), tf.clip_by_value(y_pred, 1e-7, 1 - 1e-7)
    return -tf.reduce_mean(y * tf.math.log(p) + (1 - y) * tf.math.log(1 - p))


def softmax_again(y, y_pred):
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, y_pred))


def sigmoid_again(y, y_pred):
    y = tf.cast(y[:, None], tf.float32)
    return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(y, y_pred))


def softmax_of_kind_again(y, y_pred):
    return softmax_again(y["kind"], y_pred["kind"]) + 0.3 * squares(y["size"], y_pred["size"])


# Models that differ from their kind.


def changed(make_model, change):
    """Return a function, with the name of the kind, that makes the model and changes it."""

    def make():
        model = make_model()
        change(model)
        return model

    make.__name__ = make_model.__name__
    return make


def using(make_model, optimizer, *arguments, **options):
    """Return a function, with the name of the kind, that makes the model with this optimizer."""

    def make():
        return make_model(optimizer(*arguments, **options))

    make.__name__ = make_model.__name__
    return make


def with_penalty(make_model, variable):
    penalty = keras.regularizers.L2(0.05)
    return changed(make_model, lambda model: setattr(variable(model), "regularizer", penalty))


def with_frozen(make_model, layer):
    return changed(make_model, lambda model: setattr(model.layers[layer], "trainable", False))


def with_loss(make_model, optimizer, loss):
    return changed(make_model, lambda model: model.compile(optimizer(), loss, metrics=["accuracy"]))


def in_half_precision():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        return plain(LossScaleOptimizer(SGD(0.02), initial_scale=64.0))
    finally:
        keras.config.set_dtype_policy(before)


in_half_precision.__name__ = "plain"


class Sampling(keras.layers.Layer):
    """Draws from a normal distribution, with a random number outside of Keras' seeds."""

    def call(self, inputs):
        mean, log_variance = inputs
        divergence = tf.exp(log_variance) + tf.square(mean) - log_variance - 1
        self.add_loss(0.5 * tf.reduce_mean(divergence))
        return mean + tf.exp(log_variance / 2) * tf.random.normal(tf.shape(mean))


def variational():
    keras.utils.set_random_seed(3)
    inputs = keras.Input((6,))
    x = Sampling()((keras.layers.Dense(4)(inputs), keras.layers.Dense(4)(inputs)))
    model = keras.Model(inputs, keras.layers.Dense(3, "softmax")(x))
    model.compile(SGD(0.5), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def one_hot():
    x, y = data_of(plain)
    return x, keras.utils.to_categorical(y, 3)


def weighted(make_model):
    """The data with a weight of each example."""
    x, y = data_of(make_model)
    return x, y, np.random.default_rng(4).uniform(0.1, 3, size=len(y)).astype("float32")


# Optimizers.


def scale_kept(model, x, y):
    with tf.GradientTape() as tape:
        y_pred = model(x, training=True)
        loss = model.compute_loss(x, y, y_pred)
        scaled = model.optimizer.scale_loss(loss)
    gradients = tape.gradient(scaled, model.trainable_variables)
    model.optimizer.inner_optimizer.apply(gradients, model.trainable_variables)
    loops.update_metrics(model, loss, x, y, y_pred)
    return loss


def set_rate(optimizer, rate):
    optimizer.learning_rate = rate


def multiplied(factor):
    return lambda gradients: [factor * tf.convert_to_tensor(gradient) for gradient in gradients]


def mean_over_epoch(model, train, validation, epochs, callbacks):
    """The gradients of each step are divided by the number of steps."""
    loop = published(None, gradients=multiplied(1 / len(train)))
    return loop(model, train, validation, epochs, callbacks)


def accumulated(optimizer, loss):
    """Return a loop that takes a step every second batch, with the mean of both gradients."""

    def loop(model, train, validation, epochs, callbacks):
        own, kept, history = optimizer(), [], {}
        for _ in range(epochs):
            model.reset_metrics()
            for x, y in train:
                with tf.GradientTape() as tape:
                    y_pred = model(x, training=True)
                    value = loss(y, y_pred)
                variables = model.trainable_variables
                gradients = tape.gradient(value, variables)
                kept.append([tf.convert_to_tensor(gradient) for gradient in gradients])
                if len(kept) == 2:
                    means = [sum(pair) / 2 for pair in zip(*kept, strict=True)]
                    own.apply_gradients(zip(means, variables, strict=True))
                    kept.clear()
                loops.update_metrics(model, value, x, y, y_pred)
            for name, result in model.get_metrics_result().items():
                history.setdefault(name, []).append(float(result))
        return history

    return loop


# The state of the model.


def statistics_thrown_away(model, x, y):
    """As with JAX, but the new values of the variables that are not trained are dropped."""
    variables = model.trainable_variables
    with tf.GradientTape() as tape:
        values = [variable.value for variable in variables], model.non_trainable_variables
        y_pred, _ = model.stateless_call(*values, x, training=True)
        loss = model.compute_loss(x, y, y_pred)
    model.optimizer.apply(tape.gradient(loss, variables), variables)
    loops.update_metrics(model, loss, x, y, y_pred)
    return loss


def statistics_kept(model, x, y):
    """The statistics are put back, so that only the pretrained ones are used."""
    norms = [one for one in model.layers if isinstance(one, keras.layers.BatchNormalization)]
    kept = [(one, tf.identity(one.moving_mean), tf.identity(one.moving_variance)) for one in norms]
    loss = take(model, (x, y))
    for norm, mean, variance in kept:
        norm.moving_mean.assign(mean)
        norm.moving_variance.assign(variance)
    return loss


def validated_in_training_mode(model, train, validation):
    model.reset_metrics()
    for x, y in validation:
        y_pred = model(x, training=True)
        loops.update_metrics(model, model.compute_loss(x, y, y_pred), x, y, y_pred)
    return model.get_metrics_result()


def validated_on_training_data(model, train, validation):
    return model.evaluate(train.epoch(0), verbose=0, return_dict=True)


def halve_weights(model, train):
    for variable in model.trainable_variables:
        variable.assign(0.5 * variable)


def set_forget_bias(model, train):
    cell = model.layers[1].cell
    cell.bias.assign(cell.bias + 1.0)


def reset_weights():
    """Return a hook that brings the first weights back, as between folds."""
    first = []

    def hook(model, optimizer, epoch):
        if epoch == 0:
            first[:] = model.get_weights()
        model.set_weights(first)

    return hook


# The data.


def shuffled(train, epoch):
    return train.epoch(epoch).unbatch().shuffle(44, seed=1).batch(train.batch_size)


def full_batches(train, epoch):
    return train.epoch(epoch).unbatch().batch(train.batch_size, drop_remainder=True)


def full_batches_by_size(train, epoch):
    return (batch for batch in train if len(batch[1]) == train.batch_size)


def built_by_training(model, train):
    """The model is trained on a batch so that its variables exist."""
    model.train_on_batch(*next(iter(train.epoch(0))))


def third_batch_twice(train, epoch):
    for number, batch in enumerate(train):
        yield batch
        if number == 2:
            yield batch


def normalised(x, y):
    return (x - tf.reduce_mean(x, axis=0)) / (tf.math.reduce_std(x, axis=0) + 1e-7), y


def noisy(x, y):
    return x + tf.random.normal(tf.shape(x), stddev=0.3), y


def another_number_of_epochs(loop, more):
    def wrong(model, train, validation, epochs, callbacks):
        return loop(model, train, validation, epochs + more, callbacks)

    return wrong


def by_batches(losses, sizes):
    return {"loss": (losses * sizes).sum() / len(losses)}


def a_clone(loop):
    def wrong(model, train, validation, epochs, callbacks):
        clone = keras.models.clone_model(model)
        clone.set_weights(model.get_weights())
        clone.compile_from_config(model.get_compile_config())
        return loop(clone, train, validation, epochs, callbacks)

    return wrong


adam, rmsprop = partial(Adam, 0.01), partial(RMSprop, 0.01)
sgd, momentum = partial(SGD, 0.1), partial(SGD, 0.1, momentum=0.9)
decay = keras.optimizers.schedules.ExponentialDecay(0.01, 2, 0.5)
cosine = keras.optimizers.schedules.CosineDecay(0.1, 12)
smooth = {"from_logits": True, "label_smoothing": 0.2}

# What fit obeys: the rate falls to a third, and no loss is better than the first by so much.
scheduler = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 3 if epoch else rate)
stopping = keras.callbacks.EarlyStopping("loss", min_delta=1e9, patience=0)

MISTAKES = {}
UNDECIDED, NOTHING = ("diverges", "undecided"), ("diverges", "failed")


def mistake(name, *programs, cause=None, step=1, epochs=2, verdicts=(), **options):
    """Add a mistake. Its programs are `(loop or step, make_model)`, and the data if it is another."""
    for loop, make_model, *data in programs:
        key = f"{name}, {make_model.__name__}"
        assert key not in MISTAKES, key
        MISTAKES[key] = Case(
            loop,
            make_model,
            *data,
            is_step="x" in inspect.signature(loop).parameters,
            cause=cause or name,
            step=step,
            epochs=epochs,
            options=options,
            verdicts=verdicts,
        )


# The formatter would give each argument below a line of its own.
# fmt: off

# The forward pass and the loss.

# tensorflow/tensorflow#31184, michalfaber/tensorflow_Realtime_Multi-Person_Pose_Estimation#13
mistake("training=True is missing",
    (published(adam, entropy, training=None), dense),
    (in_graph(adam, of_logits, training=None), convolution),
    (step_of(training=None), subclass))
# hunglc007/tensorflow-yolov4-tflite#369: layers have regularisers, the loop has its own loss.
mistake("regularisation losses are left out",
    (published(adam, entropy, penalties=0), dense),
    (published(adam, binary, penalties=0),
     with_penalty(recurrent, lambda model: model.layers[0].embeddings)),
    (step_of(loss=of_both(), penalties=0),
     with_penalty(two, lambda model: model.get_layer("kind").kernel)))
# linux-blog.anracom.com, "Variational Autoencoder with Tensorflow - VII - KL loss via model.add_loss()"
mistake("regularisation losses are left out",
    (published(partial(SGD, 0.5), entropy, penalties=0), variational, data_of(dense)),
    verdicts=UNDECIDED)
mistake("regularisation losses are added twice", (step_of(loss=entropy, penalties=2), dense))
# tensorflow/tensorflow#31317: the sum as a default of the loss outside of fit.
mistake("the loss is the sum over the batch",
    (published(sgd, SparseCategoricalCrossentropy(from_logits=True, reduction="sum")), plain),
    (step_of(loss=BinaryCrossentropy(reduction="sum")), using(recurrent, SGD, 0.05)),
    (published(partial(SGD, 0.01), sum_of_squares, hooks=True), using(subclass, SGD, 0.01)))
# keras-team/keras#14627, keras-team/keras#16836, tensorflow/tensorflow#37770
mistake("labels are broadcast",
    (published(rmsprop, broadcast_squares), subclass),
    (step_of(loss=broadcast_binary), recurrent))
mistake("labels are broadcast in a graph",
    (in_graph(None, broadcast_squares), using(subclass, Adam, 0.01)), cause="labels are broadcast")
# mmalekzadeh/dana#1, nfmcclure/tensorflow_cookbook#86; jeffheaton/t81_558_deep_learning#81 of a sigmoid
mistake("softmax or sigmoid is taken twice",
    (published(adam, softmax_again), dense),
    (published(adam, sigmoid_again), recurrent),
    (step_of(loss=softmax_of_kind_again), two), cause="is taken twice")
# tensorflow/tensorflow#28718: the default of the loss expects probabilities.
mistake("logits are taken for probabilities",
    (published(sgd, entropy), plain),
    (published(adam, entropy, hooks=True), convolution))
mistake("label smoothing is left out",
    (published(adam, binary), with_loss(recurrent, adam, BinaryCrossentropy(label_smoothing=0.3))),
    (in_graph(adam, CategoricalCrossentropy(from_logits=True)),
     with_loss(plain, adam, CategoricalCrossentropy(**smooth)), one_hot()))
# Jannoshh/simple-sam#6
mistake("sample weights are left out",
    (published(adam, entropy, weighted=False), dense, weighted(dense)),
    (step_of(loss=squares, weighted=False), subclass, weighted(subclass)))
# tensorflow/tensorflow#43902, tensorflow/tensorflow#51127
mistake("class weights are left out",
    (published(adam, of_logits, weighted=False), convolution),
    (published(adam, binary, weighted=False, hooks=True), recurrent),
    cause="sample weights are left out", class_weight={0: 1.0, 1: 4.0, 2: 0.3})
# keras-team/keras#17260
mistake("loss weights are left out", (published(adam, of_both(size=1.0)), two))
mistake("the loss of the output size is left out", (step_of(loss=of_both(size=0.0)), two))

# The optimizer.

mistake("another learning rate: 0.001, not 0.01",
    (published(Adam, entropy), dense),
    (in_graph(RMSprop, squares), subclass))
mistake("another learning rate: 0.02, not 0.01",
    (published(before_step=lambda optimizer, n: set_rate(optimizer, 0.02)), two))
# With plain SGD, half the learning rate and half the gradients are the same step.
mistake("another learning rate: 0.05, not 0.1", (published(partial(SGD, 0.05), of_logits), plain))
mistake("the gradients are 0.5 times the right ones", (published(gradients=multiplied(0.5)), plain))
# So are these and as many times the rate. paiml/aprender#2123: the sum of accumulated gradients.
mistake("the gradients are 3 times the right ones",
    (step_of(gradients=multiplied(3.0)), using(dense, SGD, 0.1, momentum=0.9)))
mistake("the gradients are 0.123 times the right ones",
    (published(partial(SGD, 0.5), binary, gradients=multiplied(0.123)), using(recurrent, SGD, 0.5)))
mistake("gradients are divided by the number of steps",
    (mean_over_epoch, using(two, SGD, 0.05)), cause="times the right ones")
# juntang-zhuang/Adabelief-Optimizer#12: defaults of other libraries.
mistake("another epsilon",
    (published(adam, of_both()), using(two, Adam, 0.01, epsilon=1e-3)),
    (in_graph(partial(Adam, 0.01, epsilon=1e-3), of_logits), convolution))
mistake("another momentum: 0, not 0.9",
    (published(sgd, of_logits), using(plain, SGD, 0.1, momentum=0.9)), step=2)
mistake("another nesterov: False, not True",
    (published(momentum, of_logits, hooks=True),
     using(convolution, SGD, 0.1, momentum=0.9, nesterov=True)))
mistake("another beta 1: 0.9, not 0.5", (in_graph(adam, of_both()), using(two, Adam, 0.01, 0.5)), step=2)
mistake("another rho: 0.99, not 0.9", (published(partial(RMSprop, 0.01, rho=0.99), squares), subclass))
mistake("another optimizer: SGD, not Adam", (published(partial(SGD, 0.01), binary), recurrent))
mistake("another optimizer: Adam, not RMSprop", (published(adam, squares), subclass))
mistake("another optimizer: RMSprop, not Nadam", (in_graph(rmsprop, of_both()), using(two, Nadam, 0.01)))
# guochengqian/PointNeXt#69: an argument of the name overrides the weight decay.
mistake("another weight decay",
    (published(partial(AdamW, 0.01), of_logits), using(convolution, AdamW, 0.01, weight_decay=0.3)),
    (in_graph(sgd, of_logits), using(plain, SGD, 0.1, weight_decay=0.05)))
# alan-turing-institute/deepsensor#47, pythoncymetric/cymetric#4
mistake("the optimizer is made anew",
    (published(adam, entropy, anew=True), dense),
    (published(adam, of_logits, anew=True, hooks=True), convolution), step=7)
mistake("the rate is halved each epoch",
    (published(adam, entropy, before_epoch=lambda _, own, n: set_rate(own, 0.01 / 2**n)), dense),
    cause="another learning rate: 0.005, not 0.01", step=7)
mistake("the rate decays each step",
    (published(before_step=lambda optimizer, n: set_rate(optimizer, 0.01 / (1 + n))), subclass),
    cause="another learning rate: 0.005, not 0.01", step=2)
mistake("the rate is warmed up",
    (published(adam, of_both(), before_step=lambda own, n: set_rate(own, 0.0025 * min(n + 1, 4))), two),
    cause="another learning rate: 0.0025, not 0.01")
mistake("a schedule is left out",
    (published(adam, binary), using(recurrent, Adam, decay)),
    (in_graph(sgd, of_logits), using(plain, SGD, cosine)), cause="another learning rate", step=2)
mistake("each update is applied twice",
    (step_of(updates=2), convolution),
    (published(adam, of_both(), updates=2), two))
# tensorflow/tensorflow#45146: a step clips by the global norm, as clipnorm did not.
mistake("gradients are clipped by global norm",
    (in_graph(sgd, squares, gradients=lambda found: tf.clip_by_global_norm(found, 0.1)[0]),
     using(subclass, SGD, 0.1)))
mistake("gradients are clipped by norm",
    (step_of(gradients=lambda found: [tf.clip_by_norm(one, 0.05) for one in found]),
     using(convolution, SGD, 0.1)))
mistake("gradients are clipped by value",
    (published(gradients=lambda found: [tf.clip_by_value(one, -0.1, 0.1) for one in found]),
     using(two, SGD, 0.05)))
# The first gradients are short.
mistake("gradients are clipped by global norm",
    (published(sgd, binary, gradients=lambda found: tf.clip_by_global_norm(found, 0.1)[0]),
     using(recurrent, SGD, 0.1)), step=3)
# keras-team/keras#13575, tensorflow/tensorflow#28707
mistake("another clipnorm", (published(sgd, squares), using(subclass, SGD, 0.1, clipnorm=0.1)))
mistake("another global clipnorm",
    (published(sgd, of_logits), using(plain, SGD, 0.1, global_clipnorm=0.1)))
mistake("another clipvalue", (in_graph(sgd, entropy), using(dense, SGD, 0.1, clipvalue=0.02)))
mistake("these variables are not trained",
    (published(adam, binary, variables=lambda model: model.trainable_variables[1:]), recurrent),
    (in_graph(adam, of_logits, variables=lambda model: model.trainable_variables[:-2]), convolution),
    (published(adam, of_both(), variables=lambda model: model.trainable_variables[:-2]), two))
# keras-team/keras#10222, tensorflow/tensorflow#36936
mistake("frozen variables are trained",
    (published(sgd, of_logits, variables=lambda model: model.weights), with_frozen(plain, 0)),
    (published(adam, binary, variables=lambda model: model.weights), with_frozen(recurrent, 0)))
# keras-team/keras#20894, keras-team/keras#19244
mistake("the loss is not scaled under mixed precision", (step_of(), in_half_precision))
mistake("gradients are not unscaled under mixed precision", (scale_kept, in_half_precision))
# keras-team/keras#18949: finalize_variable_values is what fit calls at the end.
mistake("EMA is not finalised",
    (published(), using(dense, Adam, 0.01, use_ema=True)),
    (in_graph(), using(convolution, SGD, 0.1, use_ema=True)), step=12)
mistake("gradients are accumulated",
    (accumulated(adam, binary), recurrent),
    (accumulated(rmsprop, squares), subclass))

# The state of the model.

mistake("moves statistics or seeds twice",
    (step_of(calls=2), convolution),
    (published(rmsprop, squares, calls=2), subclass))
mistake("moves statistics or seeds twice", (published(adam, entropy, calls=2), dense), step=None)
# siavash-khodadadeh/MetaLearning-TF2.0#5
mistake("statistics are not moved", (statistics_thrown_away, subclass), (statistics_kept, convolution))
# princeton-vl/pytorch_stacked_hourglass#44, ashafahi/free_adv_train#4
mistake("validation changes the statistics",
    (published(adam, of_logits, validate=validated_in_training_mode), convolution),
    cause="validation changes", step=None, validation_data=data_of(convolution))
mistake("validation changes the statistics",
    (published(validate=validated_in_training_mode, hooks=True), subclass),
    cause="validation changes", step=None, validation_data=data_of(subclass))
mistake("changes the state outside its steps",
    (published(adam, entropy, before=halve_weights), dense),
    (published(before=set_forget_bias), recurrent))
mistake("weights are reset each epoch",
    (published(adam, of_both(), before_epoch=reset_weights()), two),
    cause="changes the state outside its steps", step=7)

# The data.

mistake("batches are shuffled",
    (published(adam, entropy, order=lambda train, n: train.epoch(n).shuffle(6, seed=1)), dense),
    cause="other batches")
mistake("examples are shuffled",
    (in_graph(adam, of_logits, order=shuffled), convolution), cause="unknown")
mistake("batches are smaller",
    (published(adam, binary, order=lambda train, n: train.epoch(n).unbatch().batch(4)), recurrent),
    cause="other batches")
mistake("the first batch is skipped",
    (published(adam, of_both(), order=lambda train, n: train.epoch(n).skip(1)), two),
    cause="other batches")
mistake("partial batch of the epoch is dropped",
    (in_graph(rmsprop, squares, order=full_batches), subclass),
    (published(order=full_batches_by_size), plain), step=6)
mistake("the batch is used twice",
    (published(sgd, of_logits, times=2), plain))
mistake("the batch is used twice",
    (published(before=built_by_training), two),
    (published(order=third_batch_twice), recurrent), step=None)
# tensorflow/tensorflow#27680, tensorflow/tensorflow#29558
mistake("the same batches",
    (published(sgd, of_logits, order=lambda train, n: train.epoch(0)), plain),
    (in_graph(adam, entropy, order=lambda train, n: train.epoch(0)), dense), step=7)
# tensorflow/tensorflow#36192: another number of epochs than fit.
mistake("an epoch too many", (another_number_of_epochs(published(), 1), convolution), step=None)
mistake("an epoch too few", (another_number_of_epochs(published(hooks=True), -1), dense), step=7)
mistake("stops learning after step 4",
    (published(adam, binary, limit=4), recurrent), cause="trains nothing", step=5)
# tensorflow/tensorflow#41334, mlcommons/GaNDLF#870
mistake("labels do not belong to their inputs",
    (published(rmsprop, squares, change=lambda x, y: (x, tf.reverse(y, [0]))), subclass),
    (step_of(change=lambda x, y: (x, tf.roll(y, 1, axis=0))), recurrent))
# Priyanshu-byte-coder/devtrack#927, magenta/magenta#925: divided by 255 twice.
mistake("the inputs are changed",
    (published(adam, of_logits, change=lambda x, y: (x / 255.0, y)), convolution),
    (published(adam, entropy, change=lambda x, y: (x * 255.0, y)), dense))
# By what, is not found out.
mistake("the inputs are normalised again",
    (in_graph(adam, entropy, change=normalised), dense), cause="unknown")
mistake("noise is added to the inputs",
    (published(rmsprop, squares, change=noisy), subclass), cause="unknown", verdicts=UNDECIDED)

# The metrics.

# JetBrains-Research/code2seq#112, lucasjinreal/tfboys#1
mistake("metrics are not reset",
    (published(sgd, of_logits, reset=False), plain),
    (published(hooks=True, reset=False), two), step=None)
# catalyst-team/catalyst#799, https-deeplearning-ai/tensorflow-3#3
mistake("a mean of batch means",
    (published(adam, of_logits, report=lambda losses, _: {"loss": losses.mean()}), convolution), step=6)
# numaproj/numalogic#53, lucidrains/med-seg-diff-pytorch#17
mistake("that of the last batch",
    (published(adam, binary, report=lambda losses, _: {"loss": losses[-1]}), recurrent), step=6)
mistake("the sum over the batches",
    (published(adam, entropy, report=lambda losses, _: {"loss": losses.sum()}), dense), step=6)
# pytorch/tutorials#179, the other way round: the sum over 44 examples is divided by 6 batches.
mistake("7.33 times", (published(sgd, of_logits, report=by_batches), plain), step=6)
mistake("taken after the update",
    (published(sgd, of_logits, metrics="after"), plain),
    (published(adam, of_both(), metrics="after", hooks=True), two), step=None)
mistake("never updated", (step_of(metrics="no loss"), recurrent), step=None)
mistake("the arguments of the metric are swapped", (step_of(metrics="swapped"), recurrent), step=None)
mistake("those of the training data",
    (published(adam, of_logits, validate=validated_on_training_data), convolution),
    step=None, validation_data=tuple(part[:20] for part in data_of(convolution)))
mistake("callbacks do not hear the validation",
    (published(hooks=True), using(plain, SGD, 0.1, use_ema=True)),
    step=6, validation_data=tuple(part[:20] for part in data_of(plain)),
    callbacks=[keras.callbacks.SwapEMAWeights()])

# What is trained.

mistake("another model",
    (a_clone(published()), dense),
    (a_clone(in_graph()), convolution), step=None, verdicts=NOTHING)
mistake("trains nothing",
    (published(updates=0), subclass),
    (published(hooks=True, updates=0), two),
    (lambda model, train, validation, epochs, callbacks: {}, recurrent), step=None, verdicts=NOTHING)

# Callbacks. tensorflow/tensorflow#20999, keras-team/keras-io#1230

mistake("callbacks that change the rate are ignored",
    (published(), plain),
    (in_graph(adam, of_logits), convolution), cause="callbacks", step=7, callbacks=[scheduler])
mistake("callbacks that stop training are ignored",
    (published(adam, of_both()), two), cause="callbacks", step=13, epochs=3, callbacks=[stopping])
