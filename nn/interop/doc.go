// Package interop reads and writes networks in the formats of other projects:
// folders of Hugging Face's diffusers with a UNet2DModel, a UNet2DConditionModel or a
// DiTTransformer2DModel, and folders of transformers with a CLIPTextModel.
//
// A folder is a pipeline (model_index.json, unet or transformer, scheduler) or a
// single model (config.json, diffusion_pytorch_model.safetensors). Every field of
// a configuration is honoured, or refused by name and value; every tensor of a
// file is used, or named as missing, surplus or of a wrong shape. Names and
// layouts are tables: see the rules in unet.go and dit.go.
package interop
