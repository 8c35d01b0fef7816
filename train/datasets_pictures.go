package train

import (
	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/train/config"
	"github.com/langevin-go/langevin/train/data"
)

// picturesConfig is what all sources of encoded pictures have.
type picturesConfig struct {
	Height     int       `yaml:"height,required" doc:"height that pictures are brought to, in pixels" range:"[1,4096]"`
	Width      int       `yaml:"width,required" doc:"width, in pixels" range:"[1,4096]"`
	Channels   int       `yaml:"channels" doc:"1 (grey) or 3 (colour)" range:"[1,3]"`
	Filter     string    `yaml:"filter" doc:"how pictures are scaled, each way antialiased and as Pillow does it" oneof:"bicubic bilinear lanczos box"`
	Crop       string    `yaml:"crop" doc:"the part that is scaled: the largest one of the wanted proportions at the centre, or at a random place; resized: one of random area and proportions; none: all, whatever its proportions. What is random differs from epoch to epoch; evaluation always takes the centre" oneof:"centre random resized none"`
	Scale      []float64 `yaml:"scale" doc:"least and largest area of a part, as a share of the picture's, with crop: resized" range:"(0,1]"`
	Ratio      []float64 `yaml:"ratio" doc:"least and largest width over height of a part, relative to the wanted proportions, with crop: resized" range:"(0,inf)"`
	Memory     int       `yaml:"memory" doc:"MiB of pictures that are kept in memory once decoded; if all do not fit, or crop is random, each is decoded whenever it is needed; 0: always so" range:"[0,inf)"`
	MaxPixels  int       `yaml:"max_pixels" doc:"pixels of a picture before it is scaled; one that claims more is refused before it is decoded" range:"[1,inf)"`
	MaxCorrupt float64   `yaml:"max_corrupt" doc:"share of the samples that may be corrupt: each is named, and the next one stands in for it; one more is an error" range:"[0,1]"`
	Heldout    int       `yaml:"heldout" doc:"samples to hold out, spread evenly over the classes" range:"[0,inf)"`
}

func (c *picturesConfig) SetDefaults() {
	c.Channels, c.Filter, c.Crop, c.Memory, c.MaxPixels = 3, data.FilterBicubic, data.CropCentre, 2048, 1<<26
	c.Scale, c.Ratio = []float64{0.08, 1}, []float64{3. / 4, 4. / 3}
}

func (c *picturesConfig) Validate() error {
	switch {
	case c.Channels == 2:
		return invalid.Field("channels", "must be 1 or 3, is 2")
	case len(c.Scale) != 2 || c.Scale[0] > c.Scale[1]:
		return invalid.Field("scale", "must be two numbers, the least first, is %v", c.Scale)
	case len(c.Ratio) != 2 || c.Ratio[0] > c.Ratio[1]:
		return invalid.Field("ratio", "must be two numbers, the least first, is %v", c.Ratio)
	}
	return nil
}

// pictures are the options of package data.
func (c *picturesConfig) pictures() data.Pictures {
	p := data.Pictures{Height: c.Height, Width: c.Width, Channels: c.Channels, Filter: c.Filter, Crop: c.Crop,
		Scale: [2]float64(c.Scale), Ratio: [2]float64(c.Ratio), MaxPixels: c.MaxPixels, Memory: int64(c.Memory) << 20, MaxCorrupt: c.MaxCorrupt}
	if c.Memory == 0 {
		p.Memory = -1
	}
	return p
}

// parts holds samples out, and lets some of either part be corrupt.
func (c *picturesConfig) parts(s data.Source, a DataArg) (*Dataset, error) {
	d, err := holdout(s, c.Heldout)
	if err != nil || c.MaxCorrupt == 0 {
		return d, err
	}
	found := func(err error) {
		if a.Warn != nil {
			a.Warn("a corrupt sample is passed over: %v", err)
		}
	}
	d.Train = data.Tolerate(d.Train, c.MaxCorrupt, found)
	if d.Heldout != nil {
		d.Heldout = data.Tolerate(d.Heldout, c.MaxCorrupt, found)
	}
	return d, nil
}

type folderConfig struct {
	Dir            string `yaml:"dir,required" doc:"folder of PNG, JPEG, GIF and WebP pictures; subfolders are classes"`
	picturesConfig `yaml:",inline"`
	Captions       string `yaml:"captions" doc:"captions of the pictures: txt for a text file beside each, with a caption a line, or a JSONL file with file_name (the path below dir) and text (a caption or a list of them); empty: none"`
}

// captions resolves the path of a folder's captions.
func (a DataArg) captions(how string) string {
	if how == data.CaptionFiles {
		return how
	}
	return a.Path(how)
}

func init() {
	config.Register(Datasets, "folder", "A folder of pictures.",
		func(c *folderConfig, a DataArg) (*Dataset, error) {
			s, err := data.OpenFolder(a.Ctx, data.Folder{Dir: a.Path(c.Dir), Pictures: c.pictures(), Captions: a.captions(c.Captions)})
			if err != nil {
				return nil, err
			}
			return c.parts(s, a)
		})
}
