package train

import (
	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/train/config"
	"github.com/langevin-go/langevin/train/data"
)

// PictureSettings are what all sources of encoded pictures have.
type PictureSettings struct {
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

func (c *PictureSettings) SetDefaults() {
	c.Channels, c.Filter, c.Crop, c.Memory, c.MaxPixels = 3, data.FilterBicubic, data.CropCentre, 2048, 1<<26
	c.Scale, c.Ratio = []float64{0.08, 1}, []float64{3. / 4, 4. / 3}
}

func (c *PictureSettings) Validate() error {
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
func (c *PictureSettings) pictures() data.Pictures {
	p := data.Pictures{Height: c.Height, Width: c.Width, Channels: c.Channels, Filter: c.Filter, Crop: c.Crop,
		Scale: [2]float64(c.Scale), Ratio: [2]float64(c.Ratio), MaxPixels: c.MaxPixels, Memory: int64(c.Memory) << 20, MaxCorrupt: c.MaxCorrupt}
	if c.Memory == 0 {
		p.Memory = -1
	}
	return p
}

// parts holds samples out, and lets some of either part be corrupt.
func (c *PictureSettings) parts(s data.Source, a DataArg) (*Dataset, error) {
	d, err := holdout(s, c.Heldout)
	if err != nil {
		return nil, err
	}
	allowed := int(c.MaxCorrupt * float64(s.Len()))
	d.Train = data.Tolerate(d.Train, allowed, a.passedOver())
	if d.Heldout != nil {
		d.Heldout = data.Tolerate(d.Heldout, allowed, a.passedOver())
	}
	return d, nil
}

// maxNamedCorrupt bounds the samples that warnings name; all are counted in the metrics.
const maxNamedCorrupt = 50

// passedOver warns of corrupt samples.
func (a DataArg) passedOver() func(err error) {
	n := 0
	return func(err error) {
		switch n++; {
		case a.Warn == nil || n > maxNamedCorrupt:
		case n == maxNamedCorrupt:
			a.Warn("a corrupt sample is passed over: %v; more are only counted: the command data inspect --verify names all", err)
		default:
			a.Warn("a corrupt sample is passed over: %v", err)
		}
	}
}

type folderConfig struct {
	Dir             string `yaml:"dir,required" doc:"folder of PNG, JPEG, GIF and WebP pictures; subfolders are classes"`
	PictureSettings `yaml:",inline"`
	Captions        string `yaml:"captions" doc:"captions of the pictures: txt for a text file beside each, with a caption a line, or a JSONL file with file_name (the path below dir) and text (a caption or a list of them); empty: none"`
}

type tarConfig struct {
	Path            string `yaml:"path,required" doc:"WebDataset archives: a file, a folder of .tar files, or a pattern such as train-{0000..0127}.tar or train-*.tar"`
	PictureSettings `yaml:",inline"`
	Image           string `yaml:"image" doc:"ending of the pictures' files, such as jpg; empty: the one file of a sample that is a picture by its ending"`
	Labels          string `yaml:"labels" doc:"ending of the files with the class, a whole number, or json.KEY for a member of a sample's .json; auto: cls, if the first sample has it; empty: none"`
	Classes         int    `yaml:"classes" doc:"number of classes; 0: one more than the highest label" range:"[0,inf)"`
	Captions        string `yaml:"captions" doc:"ending of the files with a caption, such as txt, or json.KEY; empty: none"`
}

func (c *tarConfig) SetDefaults() { c.Labels = data.Auto }

type parquetConfig struct {
	Path            string `yaml:"path,required" doc:"Parquet files of pictures, as Hugging Face's data sets are: a file, a folder of .parquet files, or a pattern such as train-*.parquet"`
	PictureSettings `yaml:",inline"`
	Image           string `yaml:"image" doc:"column of pictures: bytes, or structs with bytes; empty: the only one"`
	Labels          string `yaml:"labels" doc:"column of whole numbers, the classes; auto: label or labels, if there is one; empty: none"`
	Classes         int    `yaml:"classes" doc:"number of classes; 0: as many as the files name, or one more than the highest label" range:"[0,inf)"`
	Captions        string `yaml:"captions" doc:"column of captions, or of lists of them; empty: none"`
	Window          int    `yaml:"window" doc:"row groups whose pictures are mixed, if they are not kept in memory: a row group is read as a whole; 0: pictures in any order, which reads row groups many times over" range:"[0,inf)"`
	Cache           int    `yaml:"cache" doc:"MiB of row groups that are kept once read; at least what window of them take" range:"[1,inf)"`
}

func (c *parquetConfig) SetDefaults() { c.Labels, c.Window, c.Cache = data.Auto, 16, 1024 }

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
	config.Register(Datasets, "tar", "Pictures in WebDataset's archives, read from where an index that is made at the start says.",
		func(c *tarConfig, a DataArg) (*Dataset, error) {
			s, err := data.OpenTar(a.Ctx, data.Tar{Path: a.Path(c.Path), Pictures: c.pictures(), Image: c.Image, Labels: c.Labels, Classes: c.Classes, Captions: c.Captions})
			if err != nil {
				return nil, err
			}
			return c.parts(s, a)
		})
	config.Register(Datasets, "parquet", "Pictures in Parquet files, as Hugging Face's data sets are.",
		func(c *parquetConfig, a DataArg) (*Dataset, error) {
			s, err := data.OpenParquet(a.Ctx, data.Parquet{Path: a.Path(c.Path), Pictures: c.pictures(), Image: c.Image, Labels: c.Labels, Classes: c.Classes, Captions: c.Captions,
				Window: c.Window, Cache: int64(c.Cache) << 20})
			if err != nil {
				return nil, err
			}
			return c.parts(s, a)
		})
}
