"""Sharding on CPU processes, for tests: torch and DeepSpeed can do it, accelerate sets it up on accelerators only."""

import os

from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedType


def shard_on_cpu() -> None:
    """Has accelerate set up FSDP2 and DeepSpeed on CPU processes as it does on accelerators."""
    prepare_state, prepare_backend = AcceleratorState.__init__, PartialState._prepare_backend

    def prepare_fsdp(self, *args, fsdp_plugin=None, **kwargs):
        prepare_state(self, *args, fsdp_plugin=fsdp_plugin, **kwargs)
        if fsdp_plugin is not None:
            self.fsdp_plugin = fsdp_plugin
        if "fsdp_plugin" in self.__dict__:  # without the above, the model would be copied as by DDP, and no word said
            self.distributed_type = DistributedType.FSDP

    def prepare_gloo(self, *args, **kwargs):
        backend, distributed_type = prepare_backend(self, *args, **kwargs)
        if backend is not None:
            return backend, distributed_type
        if os.environ.get("ACCELERATE_USE_DEEPSPEED") == "true":
            import deepspeed  # which would compile an operation for CPU processes that gloo does without

            deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
        return "gloo", DistributedType.MULTI_CPU

    AcceleratorState.__init__, PartialState._prepare_backend = prepare_fsdp, prepare_gloo
