"""Draws images from a model that was trained and exported by Langevin.

    from diffusers import DiffusionPipeline
    pipe = DiffusionPipeline.from_pretrained("FOLDER", trust_remote_code=True)
    images = pipe(class_labels=[0, 1, 2]).images

Beside the network and the scheduler, model_index.json holds how the model was sampled from: those are the defaults of a call.
"""

import inspect

import torch
from diffusers import DiffusionPipeline, ImagePipelineOutput
from diffusers.utils.torch_utils import randn_tensor


class LangevinPipeline(DiffusionPipeline):
    model_cpu_offload_seq = "unet->transformer"
    _optional_components = ["unet", "transformer"]

    def __init__(
        self, scheduler, unet=None, transformer=None, steps=50, guidance_scale=1.0, eta=0.0,
        use_clipped_model_output=False, even_times=False, start_scale=1.0, null_label=None,
    ):
        """Takes a unet (UNet2DModel) or a transformer (DiTTransformer2DModel).

        steps, guidance_scale, eta and use_clipped_model_output are defaults of calls. even_times: a flow goes in equal steps, from 1 to
        1/steps before the scheduler's shift, and not to 1/num_train_timesteps. start_scale multiplies the scheduler's
        init_noise_sigma. null_label is the class that stands for none; None: the network has none.
        """
        super().__init__()
        self.register_modules(scheduler=scheduler, unet=unet, transformer=transformer)
        self.register_to_config(
            steps=steps, guidance_scale=guidance_scale, eta=eta, use_clipped_model_output=use_clipped_model_output,
            even_times=even_times, start_scale=start_scale, null_label=null_label,
        )

    @torch.no_grad()
    def __call__(
        self, class_labels=None, batch_size=None, num_inference_steps=None, guidance_scale=None, eta=None, generator=None,
        latents=None, output_type="pil", return_dict=True,
    ):
        """Draws as many images as there are class_labels (an int, a list or a tensor; None: of no class), latents, or batch_size.

        guidance_scale is s of u + s·(c - u); 1: none. latents: standard normal noise (N,C,H,W) to start from. output_type: "pil", "np"
        (N,H,W,C) and "pt" (N,C,H,W) in [0, 1], or "latent", the scheduler's last sample as it is.
        """
        network = self.transformer if self.unet is None else self.unet
        device, channels = self._execution_device, network.config.in_channels
        if isinstance(class_labels, int):
            class_labels = [class_labels] * (batch_size or 1)
        n = next((len(v) for v in (class_labels, latents) if v is not None), batch_size or 1)
        scale = self.config.guidance_scale if guidance_scale is None else guidance_scale
        null = self.config.null_label
        if class_labels is None:
            scale, class_labels = 1.0, None if null is None else [null] * n
        elif scale != 1 and null is None:
            raise ValueError(f"guidance_scale {scale}: the network has no class that stands for none")
        labels = None if class_labels is None else torch.as_tensor(class_labels, device=device)

        if latents is None:
            size = network.config.sample_size
            height, width = (size, size) if isinstance(size, int) else size
            latents = randn_tensor((n, channels, height, width), generator=generator, device=device, dtype=network.dtype)
        self._set_times(num_inference_steps or self.config.steps, device)
        start = getattr(self.scheduler, "init_noise_sigma", 1.0) * self.config.start_scale
        x = latents.to(device=device, dtype=network.dtype) * start
        options = dict(
            generator=generator, eta=self.config.eta if eta is None else eta, use_clipped_model_output=self.config.use_clipped_model_output
        )
        known = inspect.signature(self.scheduler.step).parameters
        options = {k: v for k, v in options.items() if k in known}
        for t in self.progress_bar(self.scheduler.timesteps):
            scaled = self.scheduler.scale_model_input(x, t) if hasattr(self.scheduler, "scale_model_input") else x
            out = self._predict(network, scaled, t, labels, scale, null)
            x = self.scheduler.step(out, t, x, **options).prev_sample
        self.maybe_free_model_hooks()

        if output_type != "latent":
            x = (x / 2 + 0.5).clamp(0, 1)
        if output_type in ("np", "pil"):
            x = x.cpu().permute(0, 2, 3, 1).float().numpy()
        if output_type == "pil":
            x = self.numpy_to_pil(x)
        return ImagePipelineOutput(images=x) if return_dict else (x,)

    def _set_times(self, steps, device):
        scheduler = self.scheduler
        if not (self.config.even_times and type(scheduler).__name__.startswith("FlowMatch")):
            scheduler.set_timesteps(steps, device=device)
            return
        sigmas = [1 - i / steps for i in range(steps)]
        if "sigmas" in inspect.signature(scheduler.set_timesteps).parameters:
            scheduler.set_timesteps(sigmas=sigmas, device=device)
            return
        # FlowMatchHeunDiscreteScheduler takes no times, so they are put in the place of its own: all but the first and the last, 0, twice.
        scheduler.set_timesteps(steps, device=device)
        shift = scheduler.config.shift
        sigmas = torch.tensor([shift * s / (1 + (shift - 1) * s) for s in sigmas], dtype=torch.float32, device=device)
        times = sigmas * scheduler.config.num_train_timesteps
        scheduler.timesteps = torch.cat([times[:1], times[1:].repeat_interleave(2)])
        sigmas = torch.cat([sigmas, torch.zeros(1, device=device)])
        scheduler.sigmas = torch.cat([sigmas[:1], sigmas[1:-1].repeat_interleave(2), sigmas[-1:]])

    def _predict(self, network, x, t, labels, scale, null):
        channels = x.shape[1]
        if scale == 1:
            out = self._run(network, x, t, labels)
        else:
            both = torch.cat([labels, torch.full_like(labels, null)])
            cond, none = self._run(network, torch.cat([x, x]), t, both).chunk(2)
            value = none[:, :channels] + scale * (cond[:, :channels] - none[:, :channels])
            out = torch.cat([value, cond[:, channels:]], dim=1)
        # A variance that the scheduler does not ask for is left out.
        if not (type(self.scheduler).__name__ == "DDPMScheduler" and self.scheduler.config.variance_type.startswith("learned")):
            out = out[:, :channels]
        return out

    def _run(self, network, x, t, labels):
        times = torch.as_tensor(t, device=x.device).reshape(1).expand(len(x))
        return network(x, timestep=times, class_labels=labels).sample
