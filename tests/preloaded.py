"""What the server of tests/commands.py imports, so that the processes that are forked from it need not.

In these processes the garbage collector leaves the objects of these packages alone. To look through them takes a
quarter of the time of a short run, and copies their memory.
"""

import gc
from importlib import import_module

PACKAGES = [
    # wandb looks through all modules that are there: it is quick while they are few.
    "wandb.apis.public", "wandb.sdk.launch",
    "torch._dynamo", "torch.distributed.run", "lightning.pytorch", "lightning.pytorch.loggers",
    "torchmetrics.functional.image", "hydra",
    "omegaconf", "webdataset", "jinja2", "filelock", "dotenv", "rich.progress", "rich.table", "typer", "PIL.Image",
    "safetensors.torch", "constriction", "matplotlib.figure", "matplotlib.backends.backend_agg", "tests.quick_yaml",
]  # fmt: skip

gc.disable()
for package in PACKAGES:
    import_module(package)
gc.freeze()
gc.enable()
