package train

import (
	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/train/config"
	"github.com/langevin-go/langevin/train/data"
)

// Sources of arrays that are kept in memory, or read from one file.

type idxConfig struct {
	Images  string `yaml:"images,required" doc:"IDX file of pictures, (N,H,W) or (N,H,W,C) bytes, plain or gzipped"`
	Labels  string `yaml:"labels" doc:"IDX file of N labels; empty: none"`
	Classes int    `yaml:"classes" doc:"number of classes; 0: one more than the highest label" range:"[0,256]"`
	Heldout int    `yaml:"heldout" doc:"samples to hold out, spread evenly over the classes" range:"[0,inf)"`
}

type cifarConfig struct {
	Dir    string `yaml:"dir,required" doc:"folder that the binary version of CIFAR-10 or CIFAR-100 unpacks to; its test set is held out"`
	Coarse bool   `yaml:"coarse" doc:"the 20 superclasses of CIFAR-100 in place of its 100 classes"`
}

type csvConfig struct {
	Path    string   `yaml:"path,required" doc:"file of comma-separated values whose first line names the columns"`
	Samples []string `yaml:"samples,required" doc:"columns of the numbers of a point"`
	Vectors []string `yaml:"vectors" doc:"columns of the vector that the network is conditioned on; numbers around 1 are best; empty: none"`
	Label   string   `yaml:"label" doc:"column of whole numbers, the classes; empty: none"`
	Classes int      `yaml:"classes" doc:"number of classes; 0: one more than the highest label" range:"[0,inf)"`
	Heldout int      `yaml:"heldout" doc:"samples to hold out, spread evenly over the classes" range:"[0,inf)"`
}

func (c *csvConfig) Validate() error {
	if len(c.Samples) == 0 {
		return invalid.Field("samples", "must name at least one column")
	}
	return nil
}

type npyConfig struct {
	Samples   string `yaml:"samples,required" doc:".npy file: points (N,D), grey images (N,H,W) or images (N,H,W,C); u1 is scaled to [−1,1]"`
	Labels    string `yaml:"labels" doc:".npy file of N integers; empty: none"`
	Classes   int    `yaml:"classes" doc:"number of classes; 0: one more than the highest label" range:"[0,inf)"`
	Vectors   string `yaml:"vectors" doc:".npy file (N,D) of the vectors that the network is conditioned on; numbers around 1 are best; empty: none"`
	Heldout   int    `yaml:"heldout" doc:"samples to hold out, spread evenly over the classes" range:"[0,inf)"`
	Sequences bool   `yaml:"sequences" doc:"samples are (N,T,D): sequences of T steps of D numbers, for networks along time, rather than grey images"`
}

type npzConfig struct {
	Path      string `yaml:"path,required" doc:"file that numpy.savez or savez_compressed has written"`
	Samples   string `yaml:"samples" doc:"array of points (N,D), grey images (N,H,W) or images (N,H,W,C); u1 is scaled to [−1,1]; auto: samples, images, x or arr_0"`
	Labels    string `yaml:"labels" doc:"array of N integers; auto: labels, label or y, if there is one; empty: none"`
	Classes   int    `yaml:"classes" doc:"number of classes; 0: one more than the highest label" range:"[0,inf)"`
	Vectors   string `yaml:"vectors" doc:"array (N,D) of the vectors that the network is conditioned on; numbers around 1 are best; empty: none"`
	Heldout   int    `yaml:"heldout" doc:"samples to hold out, spread evenly over the classes" range:"[0,inf)"`
	Sequences bool   `yaml:"sequences" doc:"samples are (N,T,D): sequences of T steps of D numbers, for networks along time, rather than grey images"`
}

func (c *npzConfig) SetDefaults() { c.Samples, c.Labels = data.Auto, data.Auto }

type safetensorsConfig struct {
	Path    string `yaml:"path,required" doc:"safetensors file, such as the sample command writes"`
	Samples string `yaml:"samples" doc:"tensor of points (N,D), grey images (N,H,W) or images (N,C,H,W); U8 is scaled to [−1,1]"`
	Last    bool   `yaml:"channels_last" doc:"the images are (N,H,W,C)"`
	Labels  string `yaml:"labels" doc:"tensor of N integers; auto: labels, if it is there; empty: none"`
	Classes int    `yaml:"classes" doc:"number of classes; 0: one more than the highest label" range:"[0,inf)"`
	Vectors string `yaml:"vectors" doc:"tensor (N,D) of the vectors that the network is conditioned on; numbers around 1 are best; empty: none"`
	Memory  int    `yaml:"memory" doc:"MiB of samples that are kept in memory; if there are more, each is read whenever it is needed; 0: always so" range:"[0,inf)"`
	Heldout int    `yaml:"heldout" doc:"samples to hold out, spread evenly over the classes" range:"[0,inf)"`
}

func (c *safetensorsConfig) SetDefaults() {
	c.Samples, c.Labels, c.Memory = "samples", data.Auto, 2048
}

func init() {
	config.Register(Datasets, "idx", "Pictures in the IDX format of MNIST.",
		func(c *idxConfig, a DataArg) (*Dataset, error) {
			s, err := data.OpenIDX(data.IDX{Images: a.Path(c.Images), Labels: a.Path(c.Labels), Classes: c.Classes})
			if err != nil {
				return nil, err
			}
			return holdout(s, c.Heldout)
		})
	config.Register(Datasets, "cifar", "CIFAR-10 or CIFAR-100: 32×32 pictures in colour, in 10, 100 or 20 classes.",
		func(c *cifarConfig, a DataArg) (*Dataset, error) {
			t, h, err := data.OpenCIFAR(data.CIFAR{Dir: a.Path(c.Dir), Coarse: c.Coarse})
			if err != nil {
				return nil, err
			}
			return &Dataset{t, h}, nil
		})
	config.Register(Datasets, "csv", "Points in a table, perhaps with vectors that they are conditioned on.",
		func(c *csvConfig, a DataArg) (*Dataset, error) {
			s, err := data.OpenCSV(data.CSV{Path: a.Path(c.Path), Samples: c.Samples, Vectors: c.Vectors, Label: c.Label, Classes: c.Classes})
			if err != nil {
				return nil, err
			}
			return holdout(s, c.Heldout)
		})
	config.Register(Datasets, "npy", "Arrays in NumPy's format.",
		func(c *npyConfig, a DataArg) (*Dataset, error) {
			s, err := data.OpenNPY(data.NPY{Samples: a.Path(c.Samples), Labels: a.Path(c.Labels), Classes: c.Classes, Vectors: a.Path(c.Vectors), Sequences: c.Sequences})
			if err != nil {
				return nil, err
			}
			return holdout(s, c.Heldout)
		})
	config.Register(Datasets, "npz", "Several arrays in a file of NumPy's.",
		func(c *npzConfig, a DataArg) (*Dataset, error) {
			s, err := data.OpenNPZ(data.NPZ{Path: a.Path(c.Path), Samples: c.Samples, Labels: c.Labels, Vectors: c.Vectors, Classes: c.Classes, Sequences: c.Sequences})
			if err != nil {
				return nil, err
			}
			return holdout(s, c.Heldout)
		})
	config.Register(Datasets, "safetensors", "Tensors in a safetensors file, such as drawn samples.",
		func(c *safetensorsConfig, a DataArg) (*Dataset, error) {
			memory := int64(c.Memory) << 20
			if memory == 0 {
				memory = -1
			}
			s, err := data.OpenSafetensors(data.Safetensors{Path: a.Path(c.Path), Samples: c.Samples, ChannelsLast: c.Last, Labels: c.Labels, Vectors: c.Vectors, Classes: c.Classes, Memory: memory})
			if err != nil {
				return nil, err
			}
			return holdout(s, c.Heldout)
		})
}
