package interop

import (
	"github.com/langevin-go/langevin/internal/badfile"
	"github.com/langevin-go/langevin/nn"
)

// Classes of networks, by their names in diffusers.
const (
	UNet2DModel           = "UNet2DModel"
	UNet2DConditionModel  = "UNet2DConditionModel"
	DiTTransformer2DModel = "DiTTransformer2DModel"
)

// Config is a network's configuration. One of UNet and DiT is set.
type Config struct {
	Path  string
	Class string // UNet2DModel, UNet2DConditionModel or DiTTransformer2DModel
	UNet  *nn.UNetOptions
	DiT   *nn.DiTOptions

	// Height and Width are those of the images that the network was made for; 0: not said.
	Height, Width int
}

// ReadConfig reads a config.json.
func ReadConfig(path string) (*Config, error) {
	text, err := readBounded(path)
	if err != nil {
		return nil, err
	}
	return ParseConfig(path, text)
}

// ParseConfig reads the text of a config.json; path names it in errors. A field
// that is unknown, of a wrong type, or of a value that is not supported is an error
// that names it.
func ParseConfig(path string, text []byte) (*Config, error) {
	f, err := parseFields(path, text)
	if err != nil {
		return nil, err
	}
	c := &Config{Path: path, Class: f.string("_class_name", "")}
	if f.err != nil {
		return nil, f.err
	}
	switch c.Class {
	case UNet2DModel:
		c.UNet, err = unetOptions(f, c)
	case UNet2DConditionModel:
		c.UNet, err = textUNetOptions(f, c)
	case DiTTransformer2DModel:
		c.DiT, err = ditOptions(f, c)
	case "":
		err = badfile.New(path, ErrConfig, `field "_class_name" is missing: it must be "UNet2DModel", "UNet2DConditionModel" or "DiTTransformer2DModel"`)
	default:
		f.fail("_class_name", ErrUnsupported, "must be %q, %q or %q, is %q", UNet2DModel, UNet2DConditionModel, DiTTransformer2DModel, c.Class)
		err = f.err
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Channels of the images and of the network's output.
func (c *Config) Channels() (in, out int) {
	if c.UNet != nil {
		return c.UNet.InChannels, c.UNet.OutChannels
	}
	return c.DiT.InChannels, c.DiT.OutChannels
}

// New makes the network.
func (c *Config) New(in *nn.Init) (nn.Model, error) {
	var m nn.Model
	var err error
	if c.UNet != nil {
		m, err = nn.NewUNet(in, *c.UNet)
	} else {
		m, err = nn.NewDiT(in, *c.DiT)
	}
	if err != nil {
		return nil, badfile.New(c.Path, ErrConfig, "makes no network: %v", err)
	}
	return m, nil
}

// sampleSize reads an integer, a pair or null.
func (f *fields) sampleSize(c *Config) {
	const name = "sample_size"
	if f.isNull(name) {
		f.take(name)
		return
	}
	var pair []int
	if raw := f.m[name].raw; len(raw) > 0 && raw[0] == '[' {
		if pair = f.ints(name, nil, 1, maxSize); len(pair) != 2 {
			f.fail(name, ErrConfig, "must be an integer or a pair, is %s", f.show(name))
			return
		}
		c.Height, c.Width = pair[0], pair[1]
		return
	}
	c.Height = f.int(name, 0, 1, maxSize)
	c.Width = c.Height
}

const (
	maxSize     = 1 << 16 // side of an image
	maxChannels = 1 << 16
	maxRows     = 1 << 24 // of an embedding
	maxSteps    = 1 << 16 // of a learned time embedding
	maxLayers   = 1 << 10
)
