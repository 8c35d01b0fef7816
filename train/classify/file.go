package classify

import (
	"encoding/json"
	"fmt"

	"github.com/langevin-go/langevin/internal/safetensors"
	"github.com/langevin-go/langevin/nn"
	"github.com/langevin-go/langevin/tensor/backend"
)

// metadataKey describes a classifier, as JSON.
const metadataKey = "langevin.noisy_classifier"

type header struct {
	Shape   []int `json:"shape"`
	Classes int   `json:"classes"`
	Width   int   `json:"width"`
}

// Save writes a safetensors file, whole or not at all.
func (k *Classifier) Save(path string) error {
	text, err := json.Marshal(header{k.Shape, k.Classes, k.Width})
	if err != nil {
		return err
	}
	return nn.Save(path, k.net, map[string]string{metadataKey: string(text)})
}

// Load reads a classifier that Save wrote.
func Load(dev backend.Device, path string) (*Classifier, error) {
	f, err := safetensors.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, ok := f.Metadata()[metadataKey]
	if !ok {
		return nil, fmt.Errorf("%s is no classifier of noisy samples: its metadata have no %s", path, metadataKey)
	}
	var h header
	if err := json.Unmarshal([]byte(text), &h); err != nil {
		return nil, fmt.Errorf("%s: metadata %s: %w", path, metadataKey, err)
	}
	if err := checkSizes(h.Shape, h.Classes, h.Width); err != nil {
		return nil, fmt.Errorf("%s: metadata %s: %w", path, metadataKey, err)
	}
	if err := checkRoom(f, h); err != nil {
		return nil, err
	}
	k, err := newClassifier(nn.NewBlankInit(dev), h.Shape, h.Classes, h.Width)
	if err != nil {
		return nil, err
	}
	if err := nn.LoadFrom(f, "", k.net); err != nil {
		return nil, err
	}
	for _, p := range nn.Params(k.net) {
		p.Frozen = true
	}
	return k, nil
}

// checkRoom sees, before anything is allocated, that the file can hold the largest
// layer of the network that it describes.
func checkRoom(f *safetensors.File, h header) error {
	largest := volume(h.Shape) * h.Width
	if len(h.Shape) == 3 {
		largest = (h.Shape[0] + 3) / 4 * ((h.Shape[1] + 3) / 4) * 4 * h.Width * h.Width
	}
	held := 0
	for _, name := range f.Names() {
		t, err := f.Tensor(name)
		if err != nil {
			return err
		}
		held += volume(t.Shape)
	}
	if held < largest {
		return fmt.Errorf("%s: a classifier of samples of shape %v has a layer of %d weights; the file has %d in all", f.Path(), h.Shape, largest, held)
	}
	return nil
}
