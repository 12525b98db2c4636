"""Right training programs as users write them: each trains what `fit` trains.

They are written in our own words after public guides, tutorials, repositories and issue threads; the
comment above a program names its source: a page, or a repository on GitHub and the path in it.
"""

import functools
import tempfile

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

import kinds
from case import Case

SPARSE = "sparse_categorical_crossentropy"


def from_logits():
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def from_probabilities():
    return keras.losses.SparseCategoricalCrossentropy()


def gradients_of(model, loss_fn, x, y, *weights):
    """Return the loss of a batch with the penalties of the layers, the predictions and the gradients."""
    with tf.GradientTape() as tape:
        y_pred = model(x, training=True)
        loss = loss_fn(y, y_pred, *weights) + sum(model.losses)
    return loss, y_pred, tape.gradient(loss, model.trainable_variables)


def stepper(model, optimizer, loss_fn, **options):
    """Return a train step in a graph. `options` are those of `tf.function`."""

    @tf.function(**options)
    def step(x, y):
        loss, _, gradients = gradients_of(model, loss_fn, x, y)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss

    return step


def add_to(history, logs):
    for name, value in logs.items():
        history.setdefault(name, []).append(float(value))


# Loops with an optimizer of their own.


# keras-team/keras-io guides/writing_a_custom_training_loop_in_tensorflow.py
def guide(model, train, validation, epochs, callbacks):
    optimizer = keras.optimizers.Adam(learning_rate=0.01)
    loss_fn = from_probabilities()
    accuracy = keras.metrics.SparseCategoricalAccuracy()

    @tf.function
    def train_step(x, y):
        with tf.GradientTape() as tape:
            probabilities = model(x, training=True)
            loss_value = loss_fn(y, probabilities)
            loss_value += sum(model.losses)
        grads = tape.gradient(loss_value, model.trainable_weights)
        optimizer.apply(grads, model.trainable_weights)
        accuracy.update_state(y, probabilities)
        return loss_value

    for epoch in range(epochs):
        print(f"\nStart of epoch {epoch}")
        for step, (x_batch_train, y_batch_train) in enumerate(train):
            loss_value = train_step(x_batch_train, y_batch_train)
            if step % 100 == 0:
                print(f"Training loss (for 1 batch) at step {step}: {float(loss_value):.4f}")
        print(f"Training acc over epoch: {float(accuracy.result()):.4f}")
        accuracy.reset_state()


# snowkylin/tensorflow-handbook docs/_static/code/zh/model/mnist/main.py
def handbook(model, train, validation, epochs, callbacks):
    optimizer = keras.optimizers.SGD(learning_rate=0.1)
    for _ in range(epochs):
        batches = iter(train)
        for _ in range(len(train)):
            x, y = next(batches)
            with tf.GradientTape() as tape:
                y_pred = model(x)
                loss = keras.losses.sparse_categorical_crossentropy(
                    y_true=y, y_pred=y_pred, from_logits=True
                )
                loss = tf.reduce_mean(loss)
            grads = tape.gradient(loss, model.variables)
            optimizer.apply_gradients(
                grads_and_vars=zip(grads, model.variables, strict=True),
            )


# tensorflow/docs site/en/tutorials/quickstart/advanced.ipynb
def quickstart_for_experts(model, train, validation, epochs, callbacks):
    loss_object, optimizer = from_logits(), keras.optimizers.Adam(0.01)
    train_loss = keras.metrics.Mean(name="train_loss")
    train_accuracy = keras.metrics.SparseCategoricalAccuracy(name="train_accuracy")

    @tf.function
    def train_step(images, labels):
        with tf.GradientTape() as tape:
            predictions = model(images, training=True)
            loss = loss_object(labels, predictions)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        train_loss(loss)
        train_accuracy(labels, predictions)

    history = {"train_loss": [], "train_accuracy": []}
    for _ in range(epochs):
        train_loss.reset_state()
        train_accuracy.reset_state()
        for images, labels in train:
            train_step(images, labels)
        history["train_loss"].append(train_loss.result().numpy())
        history["train_accuracy"].append(train_accuracy.result().numpy())
    return history


# tensorflow/docs site/en/tutorials/customization/custom_training_walkthrough.ipynb
def walkthrough(model, train, validation, epochs, callbacks):
    loss_object, optimizer = from_logits(), keras.optimizers.SGD(learning_rate=0.1)

    def loss(model, x, y, training):
        return loss_object(y_true=y, y_pred=model(x, training=training))

    def grad(model, inputs, targets):
        with tf.GradientTape() as tape:
            loss_value = loss(model, inputs, targets, training=True)
        return loss_value, tape.gradient(loss_value, model.trainable_variables)

    train_loss_results, train_accuracy_results = [], []
    for _ in range(epochs):
        epoch_loss_avg = keras.metrics.Mean()
        epoch_accuracy = keras.metrics.SparseCategoricalAccuracy()
        for x, y in train:
            loss_value, grads = grad(model, x, y)
            optimizer.apply_gradients(zip(grads, model.trainable_variables, strict=True))
            epoch_loss_avg.update_state(loss_value)
            epoch_accuracy.update_state(y, model(x, training=False))
        train_loss_results.append(epoch_loss_avg.result())
        train_accuracy_results.append(epoch_accuracy.result())


# A class with methods, as many repositories have it, often by people who come from PyTorch
class Trainer:
    def __init__(self, model, optimizer, loss_fn):
        self.model, self.optimizer, self.loss_fn = model, optimizer, loss_fn
        self.loss_metric = keras.metrics.Mean(name="loss")
        self.mae_metric = keras.metrics.MeanAbsoluteError(name="mae")

    @tf.function
    def train_step(self, x, y):
        loss, y_pred, gradients = gradients_of(self.model, self.loss_fn, x, y)
        self.optimizer.apply(gradients, self.model.trainable_variables)
        self.loss_metric.update_state(loss, sample_weight=tf.shape(x)[0])
        self.mae_metric.update_state(y, y_pred)

    def train_epoch(self, dataset):
        for metric in (self.loss_metric, self.mae_metric):
            metric.reset_state()
        for x, y in dataset:
            self.train_step(x, y)
        return {m.name: float(m.result()) for m in (self.loss_metric, self.mae_metric)}

    def train(self, train, epochs):
        history = {}
        for epoch in range(epochs):
            add_to(history, self.train_epoch(train.epoch(epoch)))
        return history


def trainer_class(model, train, validation, epochs, callbacks):
    loss_fn = keras.losses.MeanSquaredError()
    return Trainer(model, keras.optimizers.RMSprop(0.01), loss_fn).train(train, epochs)


# github.com/tensorflow/tensorflow/issues/46782: labels [batch], predictions [batch, 1]
def labels_expanded(model, train, validation, epochs, callbacks):
    optimizer = keras.optimizers.RMSprop(0.01)

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            error = tf.expand_dims(y, -1) - model(x, training=True)
            loss = tf.reduce_mean(tf.square(error))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))

    for epoch in range(epochs):
        for x, y in train.epoch(epoch):
            step(x, y)


# github.com/keras-team/keras/issues/19341: the step of the loop is compiled by XLA, as that of fit
def compiled_by_xla(model, train, validation, epochs, callbacks):
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
    optimizer.build(model.trainable_variables)
    step = stepper(model, optimizer, from_logits(), jit_compile=True)
    for epoch in range(epochs):
        for x, y in train.epoch(epoch).prefetch(2):
            step(x, y)


# tensorflow/docs site/en/guide/keras/transfer_learning.ipynb: fine-tuning with a custom loop
def fine_tuning(model, train, validation, epochs, callbacks):
    loss_fn, optimizer = from_logits(), keras.optimizers.Adam(0.01)
    for epoch in range(epochs):
        for inputs, targets in train.epoch(epoch):
            with tf.GradientTape() as tape:
                loss_value = loss_fn(targets, model(inputs))
            gradients = tape.gradient(loss_value, model.trainable_weights)
            optimizer.apply_gradients(zip(gradients, model.trainable_weights, strict=True))


def frozen_base():
    keras.utils.set_random_seed(3)
    base = keras.Sequential([keras.Input((6,)), layers.Dense(8, "relu"), layers.BatchNormalization()])
    base.trainable = False
    inputs = keras.Input((6,))
    model = keras.Model(inputs, layers.Dense(3)(base(inputs, training=False)))
    model.compile(keras.optimizers.Adam(0.01), from_logits(), metrics=["accuracy"])
    return model


# tensorflow/tensorflow issue 42296, tensorflow/addons issue 958: an optimizer for body and for head
def optimizer_for_each_part(model, train, validation, epochs, callbacks):
    split = len(model.trainable_variables) - 2
    body, head = model.trainable_variables[:split], model.trainable_variables[split:]
    body_optimizer, head_optimizer = keras.optimizers.Adam(0.01), keras.optimizers.Adam(0.01)
    loss_fn = from_logits()

    @tf.function
    def step(x, y):
        with tf.GradientTape(persistent=True) as tape:
            loss = loss_fn(y, model(x, training=True))
        body_optimizer.apply_gradients(zip(tape.gradient(loss, body), body, strict=True))
        head_optimizer.apply_gradients(zip(tape.gradient(loss, head), head, strict=True))

    for epoch in range(epochs):
        for x, y in train.epoch(epoch):
            step(x, y)


# tensorflow/text docs/tutorials/transformer.ipynb and many others: a schedule
def cosine_decay():
    return keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.02, decay_steps=10))


def with_schedule(model, train, validation, epochs, callbacks):
    step = stepper(model, cosine_decay(), from_probabilities())
    for epoch in range(epochs):
        for x, y in train.epoch(epoch):
            step(x, y)


# cursa.app "Custom training with GradientTape for more control": clipping by hand
def clipped_by_hand(model, train, validation, epochs, callbacks):
    optimizer, loss_fn = keras.optimizers.SGD(0.5), from_logits()

    @tf.function
    def step(x, y):
        _, _, gradients = gradients_of(model, loss_fn, x, y)
        gradients, _ = tf.clip_by_global_norm(gradients, 0.3)
        optimizer.apply(gradients, model.trainable_variables)

    for _ in range(epochs):
        for x, y in train:
            step(x, y)


# tensorflow/docs site/en/tutorials/distribute/custom_training.ipynb, with the default strategy
def default_strategy(model, train, validation, epochs, callbacks):
    strategy = tf.distribute.get_strategy()
    with strategy.scope():
        loss_object = keras.losses.SparseCategoricalCrossentropy(reduction="none")
        optimizer = keras.optimizers.Adam(0.01)

    def train_step(inputs):
        images, labels = inputs
        with tf.GradientTape() as tape:
            predictions = model(images, training=True)
            loss = tf.nn.compute_average_loss(loss_object(labels, predictions))
            loss += tf.nn.scale_regularization_loss(tf.add_n(model.losses))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss

    @tf.function
    def distributed_train_step(inputs):
        losses = strategy.run(train_step, args=(inputs,))
        return strategy.reduce(tf.distribute.ReduceOp.SUM, losses, axis=None)

    for epoch in range(epochs):
        for inputs in strategy.experimental_distribute_dataset(train.epoch(epoch)):
            distributed_train_step(inputs)


# keras-team/keras-io guides/functional_api.py, and keras-team/keras issue 17260: weights of losses
def losses_of_two_outputs(model, train, validation, epochs, callbacks):
    optimizer = keras.optimizers.Adam(0.01)
    kind_loss, size_loss = from_probabilities(), keras.losses.MeanSquaredError()

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            outputs = model(x, training=True)
            loss = kind_loss(y["kind"], outputs["kind"]) + 0.3 * size_loss(y["size"], outputs["size"])
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))

    for epoch in range(epochs):
        for inputs, targets in train.epoch(epoch):
            step(inputs, targets)


# tensorflow/text docs/tutorials/nmt_with_attention.ipynb: the padding is masked in the loss
def padding_masked_by_hand(model, train, validation, epochs, callbacks):
    optimizer = keras.optimizers.Adam(0.01)
    loss_object = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="none")

    @tf.function
    def step(tokens, tags):
        mask = tf.cast(tokens != 0, tf.float32)
        with tf.GradientTape() as tape:
            logits = tf.identity(model(tokens, training=True))
            loss = tf.reduce_sum(loss_object(tags, logits) * mask) / tf.reduce_sum(mask)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))

    for epoch in range(epochs):
        for tokens, tags in train.epoch(epoch):
            step(tokens, tags)


def tagger():
    """A label for each token, 0 is padding."""
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.Input((7,), dtype="int32"),
            layers.Embedding(kinds.VOCABULARY, 5, mask_zero=True),
            layers.GRU(6, return_sequences=True),
            layers.Dense(3),
        ]
    )
    model.compile(keras.optimizers.Adam(0.01), from_logits())
    return model


def tagged():
    tokens, _ = kinds.data_of(kinds.recurrent)
    return tokens, tokens % 3


# keras-team/keras-io examples/nlp/text_classification_from_scratch.py, as a loop: binary labels
def binary_labels(model, train, validation, epochs, callbacks):
    step = stepper(model, keras.optimizers.Adam(0.01), keras.losses.BinaryCrossentropy())
    for _ in range(epochs):
        for tokens, labels in train:
            step(tokens, labels[:, None])


# Updates that are written by hand.


# tensorflow/docs site/en/guide/basic_training_loops.ipynb
def descent_by_hand(model, train, validation, epochs, callbacks):
    learning_rate = 0.1
    for _ in range(epochs):
        for x, y in train:
            _, _, gradients = gradients_of(model, from_logits(), x, y)
            for weight, gradient in zip(model.trainable_variables, gradients, strict=True):
                weight.assign(weight - learning_rate * gradient)


# tensorflow/docs site/en/guide/core/optimizers_core.ipynb: Momentum
def momentum_by_hand(model, train, validation, epochs, callbacks):
    rate, momentum, loss_fn = 0.05, 0.9, from_logits()
    velocities = [tf.Variable(tf.zeros(weight.shape)) for weight in model.trainable_variables]

    @tf.function
    def step(x, y):
        _, _, gradients = gradients_of(model, loss_fn, x, y)
        for weight, velocity, gradient in zip(
            model.trainable_variables, velocities, gradients, strict=True
        ):
            velocity.assign(momentum * velocity - rate * gradient)
            weight.assign_add(velocity)

    for epoch in range(epochs):
        for x, y in train.epoch(epoch):
            step(x, y)


# tensorflow/docs site/en/guide/core/optimizers_core.ipynb: Adam
class Adam:
    def __init__(self, rate=0.01, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
        self.rate, self.beta_1, self.beta_2, self.epsilon = rate, beta_1, beta_2, epsilon
        self.count, self.means, self.squares = 0, {}, {}

    def apply(self, gradients, variables):
        self.count += 1
        for number, (gradient, variable) in enumerate(zip(gradients, variables, strict=True)):
            mean, square = self.means.get(number, 0.0), self.squares.get(number, 0.0)
            mean = self.beta_1 * mean + (1 - self.beta_1) * gradient
            square = self.beta_2 * square + (1 - self.beta_2) * gradient**2
            self.means[number], self.squares[number] = mean, square
            mean_hat = mean / (1 - self.beta_1**self.count)
            root = tf.sqrt(1 - self.beta_2**self.count)
            # Keras adds epsilon before the correction of the bias.
            variable.assign_sub(self.rate * root * mean_hat / (tf.sqrt(square) + self.epsilon))


def adam_by_hand(model, train, validation, epochs, callbacks):
    optimizer, loss_fn = Adam(), from_probabilities()
    for epoch in range(epochs):
        for x, y in train.epoch(epoch):
            _, _, gradients = gradients_of(model, loss_fn, x, y)
            optimizer.apply(gradients, model.trainable_variables)


# keras-team/keras-io guides/writing_a_custom_training_loop_in_jax.py, with a tape. `stateless_apply` of
# the optimizer is not there for TensorFlow, so the update is written out.
def stateless(model, train, validation, epochs, callbacks):
    loss_fn = from_logits()

    def step(state, x, y):
        trainable, other = state
        with tf.GradientTape() as tape:
            tape.watch(trainable)
            y_pred, other = model.stateless_call(trainable, other, x, training=True)
            loss = loss_fn(y, y_pred)
        gradients = tape.gradient(loss, trainable)
        return [w - 0.1 * g for w, g in zip(trainable, gradients, strict=True)], other

    variables = model.trainable_variables, model.non_trainable_variables
    state = [[tf.convert_to_tensor(v) for v in part] for part in variables]
    for epoch in range(epochs):
        for x, y in train.epoch(epoch):
            state = step(state, x, y)
    for part, values in zip(variables, state, strict=True):
        for variable, value in zip(part, values, strict=True):
            variable.assign(value)


# Loops with the model's own optimizer, loss and metrics.


# keras-team/keras-io guides/custom_train_step_in_tensorflow.py, as a loop
def what_compile_was_given(model, train, validation, epochs, callbacks):
    @tf.function(autograph=False)
    def step(x, y):
        with tf.GradientTape() as tape:
            y_pred = model(x, training=True)
            loss = model.compute_loss(y=y, y_pred=y_pred)
        gradients = tape.gradient(loss, model.trainable_variables)
        model.optimizer.apply(gradients, model.trainable_variables)
        for metric in model.metrics:
            if metric.name == "loss":
                metric.update_state(loss, sample_weight=tf.shape(x)[0])
            else:
                metric.update_state(y, y_pred)

    history = {}
    for epoch in range(epochs):
        model.reset_metrics()
        for x, y in train.epoch(epoch):
            step(x, y)
        add_to(history, model.get_metrics_result())
    return history


# github.com/keras-team/keras/issues/19479: LossScaleOptimizer in Keras 3
def scaled_loss(model, train, validation, epochs, callbacks):
    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            y_pred = model(x, training=True)
            loss = from_logits()(y, y_pred)
            scaled = model.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, model.trainable_variables)
        model.optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))

    for epoch in range(epochs):
        for x, y in train.epoch(epoch):
            step(x, y)


def mixed_precision():
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        return kinds.plain(keras.optimizers.SGD(0.1))
    finally:
        keras.config.set_dtype_policy(policy)


# keras-team/keras issue 15119: sample weights and class weights in a loop
def weighted(model, train, validation, epochs, callbacks):
    loss_fn = from_probabilities()

    @tf.function
    def step(x, y, sample_weight):
        _, _, gradients = gradients_of(model, loss_fn, x, y, sample_weight)
        model.optimizer.apply(gradients, model.trainable_variables)

    for epoch in range(epochs):
        for x, y, sample_weight in train.epoch(epoch):
            step(x, y, sample_weight)


# github.com/tensorflow/tensorflow/issues/43902: weights by hand. Keras divides by the batch size.
def weighted_by_hand(model, x, y, sample_weight):
    with tf.GradientTape() as tape:
        losses = keras.losses.sparse_categorical_crossentropy(y, model(x, training=True))
        loss = tf.reduce_mean(losses * tf.cast(sample_weight, losses.dtype)) + tf.add_n(model.losses)
    gradients = tape.gradient(loss, model.trainable_variables)
    model.optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
    return loss


def with_weights():
    weights = np.linspace(0.2, 2.0, kinds.EXAMPLES).astype("float32")
    return *kinds.data_of(kinds.dense), weights


# tensorflow/docs site/en/guide/checkpoint.ipynb: "Train and checkpoint the model"
def with_checkpoints(model, train, validation, epochs, callbacks):
    step = stepper(model, model.optimizer, from_logits())
    checkpoint = tf.train.Checkpoint(step=tf.Variable(1), optimizer=model.optimizer, net=model)
    with tempfile.TemporaryDirectory() as folder:
        manager = tf.train.CheckpointManager(checkpoint, folder, max_to_keep=3)
        checkpoint.restore(manager.latest_checkpoint)
        for epoch in range(epochs):
            for x, y in train.epoch(epoch):
                step(x, y)
                checkpoint.step.assign_add(1)
                if int(checkpoint.step) % 4 == 0:
                    manager.save()


# keras.utils.Progbar in a hand-written loop, as in many repositories
def with_progress_bar(model, train, validation, epochs, callbacks):
    loss_fn = from_logits()
    for epoch in range(epochs):
        print(f"Epoch {epoch + 1}/{epochs}")
        bar = keras.utils.Progbar(len(train), stateful_metrics=["accuracy"])
        accuracy = keras.metrics.SparseCategoricalAccuracy()
        for number, (images, labels) in enumerate(train, start=1):
            loss, y_pred, gradients = gradients_of(model, loss_fn, images, labels)
            model.optimizer.apply(gradients, model.trainable_variables)
            accuracy.update_state(labels, y_pred)
            bar.update(number, values=[("loss", loss), ("accuracy", accuracy.result())])


# codemia.io "How to accumulate gradients in tensorflow?": two micro-batches for each update
def micro_batches(model, train, validation, epochs, callbacks):
    def step(x, y):
        count, totals = len(x), None
        for part in (slice(None, count // 2), slice(count // 2, None)):
            _, _, gradients = gradients_of(model, from_logits(), x[part], y[part])
            share = len(x[part]) / count
            gradients = [gradient * share for gradient in gradients]
            if totals is not None:
                gradients = [one + other for one, other in zip(totals, gradients, strict=True)]
            totals = gradients
        model.optimizer.apply(totals, model.trainable_variables)

    for _ in range(epochs):
        for x, y in train:
            step(x, y)


# keras.io/api/optimizers: use_ema. `fit` ends with `finalize_variable_values`.
def averaged_at_the_end(model, train, validation, epochs, callbacks):
    step = stepper(model, model.optimizer, from_probabilities())
    for epoch in range(epochs):
        for x, y in train.epoch(epoch):
            step(x, y)
    model.optimizer.finalize_variable_values(model.trainable_variables)


# keras.io/api/optimizers: clipnorm, clipvalue, gradient_accumulation_steps. `apply` does it.
def what_the_optimizer_does(model, x, y):
    loss, _, gradients = gradients_of(model, from_logits(), x, y)
    model.optimizer.apply(gradients, model.trainable_variables)
    return loss


# keras.io/api/losses/probabilistic_losses: label_smoothing
def smoothed_labels(model, x, y):
    loss_fn = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
    loss, _, gradients = gradients_of(model, loss_fn, x, y)
    model.optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
    return loss


def one_hot_labels():
    x, labels = kinds.data_of(kinds.dense)
    return x, np.eye(3, dtype="float32")[labels]


# keras.io/guides/training_with_built_in_methods, "Custom losses": a function as loss
def huber(y_true, y_pred):
    error = ops.abs(ops.reshape(y_true, (-1, 1)) - ops.reshape(y_pred, (-1, 1)))
    return ops.mean(ops.where(error < 1, 0.5 * error**2, error - 0.5), axis=-1)


def own_loss_function(model, x, y):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(huber(y, model(x, training=True)))
    gradients = tape.gradient(loss, model.trainable_variables)
    model.optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
    return loss


# keras-team/keras-io examples/vision/autoencoder.py, as a loop: the labels are the inputs
def reconstruction(model, train, validation, epochs, callbacks):
    step = stepper(model, model.optimizer, keras.losses.MeanSquaredError())
    for epoch in range(epochs):
        for noisy, clean in train.epoch(epoch):
            step(noisy, clean)


def autoencoder():
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [keras.Input((6,)), layers.GaussianNoise(0.1, seed=1), layers.Dense(3, "elu"), layers.Dense(6)]
    )
    model.compile(keras.optimizers.AdamW(0.01, weight_decay=0.02), "mse")
    return model


# tensorflow/docs site/en/guide/keras/custom_layers_and_models.ipynb: a variational autoencoder whose
# layers add the whole loss; the data is x alone
def losses_of_layers(model, train, validation, epochs, callbacks):
    @tf.function
    def step(x):
        with tf.GradientTape() as tape:
            model(x, training=True)
            loss = tf.add_n(model.losses)
        gradients = tape.gradient(loss, model.trainable_weights)
        model.optimizer.apply_gradients(zip(gradients, model.trainable_weights, strict=True))

    for epoch in range(epochs):
        for x in train.epoch(epoch):
            step(x)


class Variational(keras.Model):
    def __init__(self):
        super().__init__()
        self.mean, self.log_variance, self.decoder = layers.Dense(2), layers.Dense(2), layers.Dense(6)
        self.seed = keras.random.SeedGenerator(1)

    def call(self, x):
        mean, log_variance = self.mean(x), self.log_variance(x)
        noise = keras.random.normal(ops.shape(mean), seed=self.seed)
        decoded = self.decoder(mean + ops.exp(0.5 * log_variance) * noise)
        divergence = -0.5 * ops.mean(log_variance - ops.square(mean) - ops.exp(log_variance) + 1)
        self.add_loss(ops.mean(ops.square(x - decoded)))
        self.add_loss(0.1 * divergence)
        return decoded


def variational():
    keras.utils.set_random_seed(3)
    model = Variational()
    model.compile(keras.optimizers.Adam(0.01))
    return model


# keras-team/keras-io guides/_working_with_rnns.py: "Cross-batch statefulness"
def stateful_loop(model, train, validation, epochs, callbacks):
    step = stepper(model, model.optimizer, keras.losses.BinaryCrossentropy())
    for epoch in range(epochs):
        for x, y in train.epoch(epoch):
            step(x, y)


def stateful():
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.Input(batch_shape=(kinds.BATCH_SIZE, 7), dtype="int32"),
            layers.Embedding(kinds.VOCABULARY, 5),
            layers.LSTM(6, stateful=True),
            layers.Dense(1, "sigmoid"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.01), "binary_crossentropy", metrics=["accuracy"])
    return model


def full_batches():
    x, y = kinds.data_of(kinds.recurrent)
    return x[:40], y[:40]


# Keras' own methods, called in a loop.


def logs_of_batches(model, dataset):
    """Train on each batch. Return the means of the logs, weighted by the batch size."""
    totals, count = {}, 0
    for x, y in dataset:
        count += len(y)
        for name, value in model.train_on_batch(x, y, return_dict=True).items():
            totals[name] = totals.get(name, 0.0) + float(value) * len(y)
    return {name: total / count for name, total in totals.items()}


# keras-team/keras issue 4446: train_on_batch
def train_on_batch(model, train, validation, epochs, callbacks):
    history = {}
    for epoch in range(epochs):
        add_to(history, logs_of_batches(model, train.epoch(epoch)))
    return history


# The same without a history
def train_on_batches(model, train, validation, epochs, callbacks):
    for _ in range(epochs):
        for inputs, targets in train:
            losses = model.train_on_batch(inputs, targets)
        print("loss of the last batch:", losses[0])


# newbetuts.com "Calling fit multiple times in Keras": fit for one epoch at a time
def fit_by_epochs(model, train, validation, epochs, callbacks):
    history = {}
    for epoch in range(epochs):
        fitted = model.fit(
            train.epoch(epoch),
            initial_epoch=epoch,
            epochs=epoch + 1,
            shuffle=False,
            verbose=0,
            callbacks=list(callbacks),
        )
        for name, values in fitted.history.items():
            history.setdefault(name, []).extend(values)
    return history


# tensorflow.org/guide/data: fit over one long dataset, which goes on in each epoch
def fit_over_one_dataset(model, train, validation, epochs, callbacks):
    dataset = functools.reduce(
        lambda all_epochs, epoch: all_epochs.concatenate(train.epoch(epoch)),
        range(1, epochs),
        train.epoch(0),
    )
    return model.fit(
        dataset,
        steps_per_epoch=len(train),
        epochs=epochs,
        shuffle=False,
        callbacks=list(callbacks),
        validation_data=validation,
        verbose=2,
    )


# keras-team/keras keras/src/backend/tensorflow/trainer.py: the function that fit calls
def function_of_fit(model, train, validation, epochs, callbacks):
    model.make_train_function()
    for epoch in range(epochs):
        model.reset_metrics()
        batches = iter(train.epoch(epoch))
        for _ in range(train.steps_per_epoch):
            model.train_function(batches)


# Models with a train step of their own.


# keras-team/keras-io guides/custom_train_step_in_tensorflow.py: "A first simple example"
class CustomModel(keras.Model):
    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self.compute_loss(y=y, y_pred=y_pred)
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply(gradients, self.trainable_variables)
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(loss)
            else:
                metric.update_state(y, y_pred)
        return {metric.name: metric.result() for metric in self.metrics}


def custom_model():
    keras.utils.set_random_seed(3)
    inputs = keras.Input((6,))
    model = CustomModel(inputs, layers.Dense(3)(layers.Dropout(0.2, seed=1)(inputs)))
    model.compile(keras.optimizers.Adam(0.01), from_logits(), metrics=["accuracy"])
    return model


def fit_with_own_step(model, train, validation, epochs, callbacks):
    return fit_by_epochs(model, train, validation, epochs, callbacks)


# The same guide, "Going lower-level": no loss in compile, own metric objects
class LowerLevel(keras.Model):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.loss_tracker = keras.metrics.Mean(name="loss")
        self.mae_metric = keras.metrics.MeanAbsoluteError(name="mae")
        self.loss_fn = keras.losses.MeanSquaredError()

    @property
    def metrics(self):
        return [self.loss_tracker, self.mae_metric]

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self.loss_fn(y, y_pred)
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply(gradients, self.trainable_variables)
        self.loss_tracker.update_state(loss)
        self.mae_metric.update_state(y, y_pred)
        return {"loss": self.loss_tracker.result(), "mae": self.mae_metric.result()}


def lower_level():
    keras.utils.set_random_seed(3)
    inputs = keras.Input((5,))
    model = LowerLevel(inputs, layers.Dense(1)(layers.Dense(4, "relu")(inputs)))
    model.compile(keras.optimizers.Adam(0.01))
    return model


def calls_train_step(model, train, validation, epochs, callbacks):
    step = tf.function(model.train_step)
    history = {}
    for epoch in range(epochs):
        model.reset_metrics()
        for batch in train.epoch(epoch):
            logs = step(batch)
        add_to(history, logs)
    return history


# keras-team/keras-io examples/generative/dcgan_overriding_train_step.py: two optimizers
class Gan(keras.Model):
    def __init__(self):
        super().__init__()
        self.generator = keras.Sequential([keras.Input((2,)), layers.Dense(6)])
        self.discriminator = keras.Sequential([keras.Input((6,)), layers.Dense(1)])
        self.seed = keras.random.SeedGenerator(1)
        self.loss_fn = keras.losses.BinaryCrossentropy(from_logits=True)

    def compile(self, d_optimizer, g_optimizer):
        super().compile()
        self.d_optimizer, self.g_optimizer = d_optimizer, g_optimizer

    def call(self, x):
        return self.discriminator(x)

    def train_step(self, real):
        count = ops.shape(real)[0]
        generated = self.generator(keras.random.normal((count, 2), seed=self.seed))
        labels = ops.concatenate([ops.ones((count, 1)), ops.zeros((count, 1))])
        with tf.GradientTape() as tape:
            d_loss = self.loss_fn(labels, self.discriminator(ops.concatenate([generated, real])))
        weights = self.discriminator.trainable_weights
        self.d_optimizer.apply(tape.gradient(d_loss, weights), weights)
        noise = keras.random.normal((count, 2), seed=self.seed)
        with tf.GradientTape() as tape:
            g_loss = self.loss_fn(ops.zeros((count, 1)), self.discriminator(self.generator(noise)))
        weights = self.generator.trainable_weights
        self.g_optimizer.apply(tape.gradient(g_loss, weights), weights)
        return {"d_loss": d_loss, "g_loss": g_loss}


def gan():
    keras.utils.set_random_seed(3)
    model = Gan()
    model.compile(d_optimizer=keras.optimizers.Adam(0.01), g_optimizer=keras.optimizers.Adam(0.02))
    return model


def fit_gan(model, train, validation, epochs, callbacks):
    fit_by_epochs(model, train, validation, epochs, callbacks)


# keras-team/keras-io examples/vision/semisupervised_simclr.py: two views of each example
class Contrastive(keras.Model):
    def __init__(self):
        super().__init__()
        self.encoder, self.seed = layers.Dense(4), keras.random.SeedGenerator(2)
        self.noise = layers.GaussianNoise(0.5, seed=3)
        self.loss_tracker = keras.metrics.Mean(name="loss")

    def call(self, x, training=False):
        return ops.normalize(self.encoder(self.noise(x, training=training)), axis=-1)

    def train_step(self, x):
        with tf.GradientTape() as tape:
            one, other = self(x, training=True), self(x, training=True)
            similarities = ops.matmul(one, ops.transpose(other)) / 0.1
            labels = ops.arange(ops.shape(x)[0])
            loss = ops.mean(
                keras.losses.sparse_categorical_crossentropy(labels, similarities, from_logits=True)
            )
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        self.loss_tracker.update_state(loss)
        return {"loss": self.loss_tracker.result()}


def contrastive():
    keras.utils.set_random_seed(3)
    model = Contrastive()
    model.compile(keras.optimizers.Adam(0.01))
    return model


# Loops that call the callbacks.


# keras.io/api/callbacks/base_callback: "to use Callback objects in a custom training loop"
def callback_list(model, train, validation, epochs, callbacks):
    callbacks = keras.callbacks.CallbackList(
        callbacks, add_history=True, model=model, epochs=epochs, steps=len(train)
    )

    @tf.function
    def step(batches):
        return model.train_step(next(batches))

    model.stop_training = False
    callbacks.on_train_begin()
    for epoch in range(epochs):
        model.reset_metrics()
        callbacks.on_epoch_begin(epoch)
        batches = iter(train.epoch(epoch))
        for number in range(len(train)):
            callbacks.on_train_batch_begin(number)
            logs = {name: float(value) for name, value in step(batches).items()}
            callbacks.on_train_batch_end(number, logs)
        if validation is not None:
            results = model.evaluate(validation, return_dict=True, verbose=0)
            logs.update({f"val_{name}": value for name, value in results.items()})
        callbacks.on_epoch_end(epoch, logs)
        if model.stop_training:
            break
    callbacks.on_train_end(logs)
    return model.history


# tensorflow.org/api_docs/python/tf/keras/callbacks/Callback: hooks called one by one, in a Python loop
def hooks_one_by_one(model, train, validation, epochs, callbacks):
    step = stepper(model, keras.optimizers.RMSprop(0.01), keras.losses.MeanSquaredError())
    for callback in callbacks:
        callback.set_model(model)
        callback.on_train_begin(logs={})
    for epoch in range(epochs):
        for callback in callbacks:
            callback.on_epoch_begin(epoch, logs={})
        for batch, (x, y) in enumerate(train):
            for callback in callbacks:
                callback.on_train_batch_begin(batch, logs={})
            loss = step(x, y)
            for callback in callbacks:
                callback.on_train_batch_end(batch, logs={"batch_loss": float(loss)})
        for callback in callbacks:
            callback.on_epoch_end(epoch, logs={})
    for callback in callbacks:
        callback.on_train_end(logs={})


# Numbers from 1, as people count
def hooks_numbered_from_one(model, train, validation, epochs, callbacks):
    step = stepper(model, keras.optimizers.Adam(0.01), from_logits())
    hooks, total = keras.callbacks.CallbackList(callbacks, model=model), 0
    for epoch in range(1, epochs + 1):
        hooks.on_epoch_begin(epoch)
        for x, y in train:
            total += 1
            hooks.on_train_batch_begin(total)
            step(x, y)
            hooks.on_train_batch_end(total)
        hooks.on_epoch_end(epoch)


# keras.io/api/callbacks/base_callback, shortened: only the end of an epoch is told, with the metrics
def only_end_of_epoch(model, train, validation, epochs, callbacks):
    history = {}
    for epoch in range(epochs):
        logs = logs_of_batches(model, train.epoch(epoch))
        for callback in callbacks:
            callback.on_epoch_end(epoch, dict(logs))
        add_to(history, logs)
    return history


# Only the end of a batch is told, for a progress bar of one's own
def only_end_of_batch(model, train, validation, epochs, callbacks):
    step = stepper(model, model.optimizer, from_probabilities())
    for _ in range(epochs):
        for number, (x, y) in enumerate(train):
            loss = step(x, y)
            for callback in callbacks:
                callback.on_train_batch_end(number, {"running_loss": float(loss)})


# tensorflow/docs site/en/guide/migrate/early_stopping.ipynb: hooks of epochs, validation by hand
def validates_by_hand(model, train, validation, epochs, callbacks):
    hooks = keras.callbacks.CallbackList(list(callbacks), model=model, epochs=epochs)
    step, loss_fn = stepper(model, model.optimizer, from_probabilities()), from_probabilities()
    val_loss = keras.metrics.Mean()
    val_accuracy = keras.metrics.SparseCategoricalAccuracy()
    model.stop_training = False
    hooks.on_train_begin()
    for epoch in range(epochs):
        hooks.on_epoch_begin(epoch)
        for x, y in train.epoch(epoch):
            step(x, y)
        val_loss.reset_state()
        val_accuracy.reset_state()
        for x, y in validation or ():
            y_pred = model(x, training=False)
            val_loss.update_state(loss_fn(y, y_pred) + sum(model.losses), sample_weight=len(x))
            val_accuracy.update_state(y, y_pred)
        results = {"val_loss": val_loss.result(), "val_accuracy": val_accuracy.result()}
        hooks.on_epoch_end(epoch, {name: float(value) for name, value in results.items()})
        if model.stop_training:
            break
    hooks.on_train_end()


def warm_up(epoch, rate):
    return 0.01 * (epoch + 1) / 2


def with_validation(kind, *callbacks):
    """Options of a comparison: validation data of the same distribution, and callbacks."""
    x, y = kinds.data_of(kind)
    return {"validation_data": (x[::-2], y[::-2]), "callbacks": list(callbacks)}


def on_a_plateau(kind):
    """Options of a comparison in which the rate falls, since no epoch is better by so much."""
    falls = keras.callbacks.ReduceLROnPlateau("val_loss", 0.1, patience=1, min_delta=1.0)
    return with_validation(kind, falls)


# Loops that are hidden in a graph.


# keras-team/keras-io guides/writing_a_custom_training_loop_in_tensorflow.py and
# tensorflow.org/guide/function "Looping over Python data": a whole epoch in a graph
def epoch_in_a_graph(model, train, validation, epochs, callbacks):
    loss_fn = from_logits()

    @tf.function
    def run_epoch(dataset):
        for x, y in dataset:
            _, _, gradients = gradients_of(model, loss_fn, x, y)
            model.optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))

    for epoch in range(epochs):
        run_epoch(train.epoch(epoch))


# The same, with the hooks of the epochs and a validation by Keras
def epoch_in_a_graph_between_hooks(model, train, validation, epochs, callbacks):
    hooks = keras.callbacks.CallbackList(list(callbacks), model=model, epochs=epochs)
    loss_fn = from_logits()

    @tf.function
    def run_epoch(dataset):
        for x, y in dataset:
            _, _, gradients = gradients_of(model, loss_fn, x, y)
            model.optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))

    model.stop_training = False
    hooks.on_train_begin()
    for epoch in range(epochs):
        hooks.on_epoch_begin(epoch)
        run_epoch(train.epoch(epoch))
        logs = model.evaluate(validation, verbose=0, return_dict=True) if validation else {}
        hooks.on_epoch_end(epoch, {f"val_{name}": value for name, value in logs.items()})
        if model.stop_training:
            break
    hooks.on_train_end()


# The same with an optimizer of its own, and with the metrics of the epoch as the result of the graph
def epoch_in_a_graph_with_metrics(model, train, validation, epochs, callbacks):
    optimizer, loss_fn = keras.optimizers.Adam(0.01), from_probabilities()
    optimizer.build(model.trainable_variables)
    mean, accuracy = keras.metrics.Mean(), keras.metrics.SparseCategoricalAccuracy()

    @tf.function
    def run_epoch(dataset):
        for x, y in dataset:
            loss, y_pred, gradients = gradients_of(model, loss_fn, x, y)
            optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
            mean.update_state(loss, sample_weight=tf.shape(x)[0])
            accuracy.update_state(y, y_pred)
        return mean.result(), accuracy.result()

    history = {}
    for epoch in range(epochs):
        mean.reset_state()
        accuracy.reset_state()
        loss, share = run_epoch(train.epoch(epoch))
        add_to(history, {"loss": loss, "accuracy": share})
    return history


# tensorflow/models orbit/utils/loop_fns.py: a loop over an iterator in a graph
def steps_of_an_iterator(model, train, validation, epochs, callbacks):
    loss_fn = keras.losses.BinaryCrossentropy()

    @tf.function
    def several_steps(iterator, steps):
        for _ in tf.range(steps):
            x, y = next(iterator)
            _, _, gradients = gradients_of(model, loss_fn, x, y)
            model.optimizer.apply(gradients, model.trainable_variables)

    for epoch in range(epochs):
        several_steps(iter(train.epoch(epoch)), tf.constant(len(train)))


# tensorflow.org/api_docs/python/tf/while_loop: the same, written out
def while_loop(model, train, validation, epochs, callbacks):
    step = stepper(model, model.optimizer, from_logits())

    @tf.function(autograph=False)
    def run(iterator, steps):
        def body(done):
            step(*iterator.get_next())
            return (done + 1,)

        tf.while_loop(lambda done: done < steps, body, [tf.constant(0)])

    for epoch in range(epochs):
        run(iter(train.epoch(epoch)), tf.constant(train.steps_per_epoch))


# tensorflow.org/guide/function: all epochs in one graph, as one long dataset
def all_epochs_in_a_graph(model, train, validation, epochs, callbacks):
    loss_fn = from_probabilities()

    @tf.function
    def run(dataset):
        total = tf.constant(0.0)
        for x, y in dataset:
            loss, _, gradients = gradients_of(model, loss_fn, x, y)
            model.optimizer.apply(gradients, model.trainable_variables)
            total += loss
        return total

    dataset = train.epoch(0)
    for epoch in range(1, epochs):
        dataset = dataset.concatenate(train.epoch(epoch))
    run(dataset)


# tensorflow.org/guide/function: the loop over the epochs is unrolled in the graph
def epochs_unrolled_in_a_graph(model, train, validation, epochs, callbacks):
    optimizer, loss_fn = keras.optimizers.SGD(0.1), from_logits()
    optimizer.build(model.trainable_variables)

    @tf.function
    def train_all(datasets):
        for dataset in datasets:
            for x, y in dataset:
                _, _, gradients = gradients_of(model, loss_fn, x, y)
                optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))

    train_all([train.epoch(epoch) for epoch in range(epochs)])


def plain_with(optimizer, **options):
    """Return a function that makes a plain model with a new optimizer."""
    return lambda: kinds.plain(optimizer(**options))


def dense_with(optimizer, **options):
    return lambda: kinds.dense(optimizer(**options))


def small_plain_dataset():
    return tf.data.Dataset.from_tensor_slices(kinds.data_of(kinds.plain)).batch(kinds.BATCH_SIZE)


_sgd, _adam = keras.optimizers.SGD, keras.optimizers.Adam
_plain, _x_alone = kinds.data_of(kinds.plain), kinds.data_of(kinds.dense)[0]
_smoothing = functools.partial(keras.losses.CategoricalCrossentropy, label_smoothing=0.1)

PROGRAMS: dict[str, Case] = {
    # An optimizer of its own.
    "the loop of Keras' guide": Case(guide, kinds.dense),
    "the loop of the handbook": Case(handbook, kinds.plain),
    "the quickstart for experts": Case(quickstart_for_experts, kinds.convolution),
    "the walkthrough of tensorflow.org": Case(walkthrough, kinds.plain),
    "a class Trainer": Case(trainer_class, kinds.subclass),
    "labels are expanded": Case(labels_expanded, kinds.subclass),
    "a step that XLA compiles": Case(
        compiled_by_xla, plain_with(_sgd, learning_rate=0.1, momentum=0.9), _plain
    ),
    "fine-tuning of a head": Case(fine_tuning, frozen_base, _plain),
    "an optimizer for each part of the model": Case(optimizer_for_each_part, kinds.convolution),
    "a schedule of the learning rate": Case(
        with_schedule, lambda: kinds.dense(cosine_decay()), kinds.data_of(kinds.dense)
    ),
    "gradients are clipped by hand": Case(
        clipped_by_hand, plain_with(_sgd, learning_rate=0.5, global_clipnorm=0.3), _plain
    ),
    "the default strategy": Case(default_strategy, kinds.dense),
    "losses of two outputs": Case(losses_of_two_outputs, kinds.two),
    "the padding is masked by hand": Case(padding_masked_by_hand, tagger, tagged()),
    "binary labels as a column": Case(binary_labels, kinds.recurrent),
    # Updates by hand.
    "gradient descent by hand": Case(descent_by_hand, kinds.plain),
    "momentum by hand": Case(
        momentum_by_hand, plain_with(_sgd, learning_rate=0.05, momentum=0.9), _plain
    ),
    "Adam by hand": Case(adam_by_hand, kinds.dense),
    "stateless calls": Case(stateless, kinds.plain),
    # What compile was given.
    "the parts of train_step": Case(what_compile_was_given, kinds.convolution),
    "a scaled loss in mixed precision": Case(scaled_loss, mixed_precision, _plain),
    "sample weights": Case(weighted, kinds.dense, with_weights()),
    "class weights": Case(weighted, kinds.dense, options={"class_weight": {0: 0.5, 1: 1.0, 2: 3.0}}),
    "weights by hand": Case(weighted_by_hand, kinds.dense, with_weights(), is_step=True),
    "checkpoints in the loop": Case(with_checkpoints, kinds.convolution),
    "a progress bar": Case(with_progress_bar, kinds.convolution),
    "micro-batches": Case(micro_batches, kinds.plain),
    "averaged weights": Case(
        averaged_at_the_end,
        dense_with(_adam, learning_rate=0.01, use_ema=True, ema_momentum=0.8),
        kinds.data_of(kinds.dense),
    ),
    "the norm of each gradient is clipped": Case(
        what_the_optimizer_does, plain_with(_adam, learning_rate=0.01, clipnorm=0.1), _plain, True
    ),
    "the values of gradients are clipped": Case(
        what_the_optimizer_does, plain_with(_sgd, learning_rate=0.5, clipvalue=0.05), _plain, True
    ),
    "gradients are accumulated over two steps": Case(
        what_the_optimizer_does,
        plain_with(_sgd, learning_rate=0.1, gradient_accumulation_steps=2),
        _plain,
        True,
    ),
    "smoothed labels": Case(
        smoothed_labels, lambda: kinds.dense(loss=_smoothing()), one_hot_labels(), is_step=True
    ),
    "a function as loss": Case(
        own_loss_function,
        lambda: kinds.subclass(loss=huber),
        kinds.data_of(kinds.subclass),
        is_step=True,
    ),
    "a denoising autoencoder": Case(reconstruction, autoencoder, (_x_alone, _x_alone)),
    "layers that add the loss": Case(losses_of_layers, variational, _x_alone),
    "a stateful LSTM": Case(stateful_loop, stateful, full_batches()),
    "a dataset of batches": Case(epoch_in_a_graph, kinds.plain, small_plain_dataset()),
    # Keras' methods.
    "train_on_batch": Case(train_on_batch, kinds.dense),
    "train_on_batch with two outputs": Case(train_on_batches, kinds.two),
    "fit for one epoch at a time": Case(fit_by_epochs, kinds.recurrent),
    "fit over one long dataset": Case(fit_over_one_dataset, kinds.convolution),
    "the function that fit calls": Case(function_of_fit, kinds.subclass),
    # A train step of its own.
    "fit with an own train_step": Case(fit_with_own_step, custom_model, _plain),
    "a loop that calls an own train_step": Case(
        calls_train_step, lower_level, kinds.data_of(kinds.subclass)
    ),
    "a GAN with two optimizers": Case(fit_gan, gan, _x_alone),
    "contrastive learning": Case(calls_train_step, contrastive, _x_alone),
    # Callbacks.
    "a list of callbacks": Case(callback_list, kinds.two),
    "hooks one by one": Case(hooks_one_by_one, kinds.subclass),
    "hooks that are numbered from 1": Case(hooks_numbered_from_one, kinds.convolution),
    "only the end of an epoch is told": Case(only_end_of_epoch, kinds.recurrent),
    "only the end of a batch is told": Case(only_end_of_batch, kinds.dense),
    "a learning rate that warms up": Case(
        callback_list,
        kinds.dense,
        options={"callbacks": [keras.callbacks.LearningRateScheduler(warm_up)]},
    ),
    "early stopping": Case(
        validates_by_hand,
        kinds.dense,
        epochs=4,
        options=with_validation(
            kinds.dense, keras.callbacks.EarlyStopping("val_loss", min_delta=0.5, patience=1)
        ),
    ),
    "a learning rate that falls on a plateau": Case(
        callback_list,
        kinds.convolution,
        epochs=3,
        options=on_a_plateau(kinds.convolution),
    ),
    "a plateau, without hooks of batches": Case(
        validates_by_hand,
        kinds.dense,
        epochs=3,
        options=on_a_plateau(kinds.dense),
    ),
    "averaged weights are validated": Case(
        fit_over_one_dataset,
        plain_with(_sgd, learning_rate=0.1, use_ema=True),
        _plain,
        options=with_validation(kinds.plain, keras.callbacks.SwapEMAWeights()),
    ),
    "validation by hand": Case(validates_by_hand, kinds.dense, options=with_validation(kinds.dense)),
    # In a graph.
    "an epoch in a graph": Case(epoch_in_a_graph, kinds.convolution),
    "a graph between hooks, and a rate that warms up": Case(
        epoch_in_a_graph_between_hooks,
        kinds.plain,
        options={"callbacks": [keras.callbacks.LearningRateScheduler(warm_up)]},
    ),
    "a graph between hooks, and a rate that falls on a plateau": Case(
        epoch_in_a_graph_between_hooks,
        kinds.convolution,
        epochs=3,
        options=on_a_plateau(kinds.convolution),
    ),
    "a graph between hooks, and early stopping": Case(
        epoch_in_a_graph_between_hooks,
        kinds.plain,
        epochs=4,
        options=with_validation(
            kinds.plain, keras.callbacks.EarlyStopping("val_loss", min_delta=0.5, patience=1)
        ),
    ),
    "an epoch in a graph with its metrics": Case(epoch_in_a_graph_with_metrics, kinds.dense),
    "steps of an iterator in a graph": Case(steps_of_an_iterator, kinds.recurrent),
    "a while_loop": Case(while_loop, kinds.convolution),
    "all epochs in a graph": Case(all_epochs_in_a_graph, kinds.dense),
    "epochs unrolled in a graph": Case(epochs_unrolled_in_a_graph, kinds.plain),
}
