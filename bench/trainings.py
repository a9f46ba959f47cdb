"""An epoch of training as others write it, from JPEG files, and the limit: the same steps on one batch that is in memory."""

import ctypes
import warnings
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from bench.photos import Workspace
from fakeface.core.cores import available_cores
from fakeface.core.records import SplitRecord
from fakeface.params import AugmentParams
from fakeface.training.batches import EVAL_BATCH_SIZE
from fakeface.training.devices import M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, Device
from fakeface.training.network import new_classifier
from fakeface.training.optimization import new_optimizer
from fakeface.training.recipe import Recipe
from fakeface.training.torchvision_ops import import_torchvision

NOTEBOOK_WORKERS = 4


class JpegDataset(Dataset[tuple[Tensor, int]]):
    """Photos decoded and transformed one by one, each time anew."""

    def __init__(self, root: Path, records: list[SplitRecord], transform: Any) -> None:
        self.root, self.records, self.transform = root, records, transform

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        record = self.records[row]
        image = Image.open(self.root / record.path).convert("RGB")
        return self.transform(image), record.label


def return_freed_memory() -> None:
    """What glibc does by itself, once its thresholds have grown as far as they do (M_MMAP_THRESHOLD in mallopt(3))."""
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(M_MMAP_THRESHOLD, 2**25)
        mallopt(M_TRIM_THRESHOLD, 2**26)


def notebook_transform(recipe: Recipe, px: int, *, train: bool) -> Any:
    """Resize to `px`, for training the random changes, then pixels in 0..1, normalised: torchvision's first transforms."""
    of = import_torchvision().transforms
    changes = _random_changes(of, recipe.augment) if train else []
    return of.Compose([of.Resize((px, px)), *changes, of.ToTensor(), of.Normalize(recipe.mean, recipe.std)])


def simple_transform(recipe: Recipe, px: int, *, train: bool) -> Any:
    """The same in transforms.v2, on PIL images: the default of torchvision's reference recipe, and faster than on tensors."""
    import_torchvision()
    from torchvision.transforms import v2

    changes = _random_changes(v2, recipe.augment) if train else []
    to_tensor = [v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True)]
    return v2.Compose([v2.Resize((px, px)), *changes, *to_tensor, v2.Normalize(recipe.mean, recipe.std)])


def _random_changes(transforms: Any, params: AugmentParams) -> list[Any]:
    return [
        transforms.RandomCrop(params.crop_px),
        transforms.RandomHorizontalFlip(params.horizontal_flip),
        transforms.RandomRotation(params.rotation_degrees),
        transforms.ColorJitter(params.brightness, params.contrast, params.saturation, params.hue),
    ]


class FilesTraining:
    """A network trained from JPEG files: the notebook's way, or the simple one of torchvision's reference recipe.

    Simple means transforms.v2, one worker per core that stays, channels_last, autocast where the machine has bf16.
    """

    def __init__(self, work: Workspace, recipe: Recipe, device: Device, *, simple: bool) -> None:
        self.device = device if simple else Device(device.torch_device, bf16=False)
        self.layout = torch.channels_last if simple else torch.contiguous_format
        network = new_classifier(recipe.model, recipe.train.seed).to(device.torch_device)
        self.network = network.to(memory_format=self.layout)  # type: ignore[call-overload]
        params = recipe.train
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=params.lr, weight_decay=params.weight_decay)
        self.best_file = work.root / f"{'simple' if simple else 'notebook'}.pt"
        workers = available_cores() if simple else NOTEBOOK_WORKERS
        warnings.filterwarnings("ignore", "This DataLoader will create")  # four workers on two cores are the notebook's
        px = work.pack_params
        transform = simple_transform if simple else notebook_transform
        self.train, self.valid = (
            DataLoader(
                JpegDataset(work.photos, work.records(side), transform(recipe, side_px, train=side == "train")),
                batch_size=params.batch_size,
                shuffle=side == "train",
                num_workers=workers,
                persistent_workers=simple,
                pin_memory=simple and device.is_cuda,
            )
            for side, side_px in (("train", px.train_px), ("valid", px.eval_px))
        )

    def epoch(self) -> None:
        """Train, validate, keep the weights: with a progress bar, and each batch's loss asked for, as both ways have it."""
        self.network.train()
        for images, labels in tqdm(self.train, "train", leave=False, disable=None):
            self.optimizer.zero_grad()
            loss, _ = self._loss(images, labels)
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            loss.item()
        self.network.eval()
        with torch.inference_mode():
            for images, labels in tqdm(self.valid, "valid", leave=False, disable=None):
                loss, correct = self._loss(images, labels)
                loss.item(), correct.item()
        torch.save(self.network.state_dict(), self.best_file)

    def _loss(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Cross-entropy, and how many are right."""
        images = images.to(self.device.torch_device, non_blocking=True).contiguous(memory_format=self.layout)
        labels = labels.to(self.device.torch_device, non_blocking=True)
        with torch.autocast(self.device.torch_device.type, torch.bfloat16, enabled=self.device.bf16):
            logits = self.network(images)
        return F.cross_entropy(logits.float(), labels), (logits.argmax(dim=1) == labels).sum()


class BareTraining:
    """The steps of an epoch, and the forward passes of its validation, on one batch that lies ready on the device."""

    def __init__(self, recipe: Recipe, device: Device, train_count: int, valid_count: int, eval_px: int) -> None:
        network: nn.Module = new_classifier(recipe.model, recipe.train.seed).to(device.torch_device)
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.device, self.optimizer = device, new_optimizer(self.network, recipe.train)
        self.train_sizes = _batch_sizes(train_count, recipe.train.batch_size)
        self.valid_sizes = _batch_sizes(valid_count, EVAL_BATCH_SIZE)
        crop_px = recipe.augment.crop_px
        self.images, self.valid_images = (
            torch.randn((size, 3, px, px), device=device.torch_device).contiguous(memory_format=torch.channels_last)
            for size, px in ((max(self.train_sizes), crop_px), (max(self.valid_sizes), eval_px))
        )
        self.labels = torch.arange(len(self.images), device=device.torch_device) % 2

    def epoch(self) -> None:
        self.network.train()
        for size in self.train_sizes:
            self.optimizer.zero_grad()
            F.cross_entropy(self._logits(self.images[:size]), self.labels[:size]).backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
        self.network.eval()
        with torch.inference_mode():
            for size in self.valid_sizes:
                logits = self._logits(self.valid_images[:size])
        logits.sum().item()  # a GPU is done when this is known

    def _logits(self, images: Tensor) -> Tensor:
        with self.device.autocast():
            return self.network(images).float()  # type: ignore[no-any-return]


def _batch_sizes(count: int, batch_size: int) -> list[int]:
    """As `training` cuts them: a last batch of one would be none of its own."""
    return [len(rows) for rows in torch.split(torch.arange(count), batch_size)]
