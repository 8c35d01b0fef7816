package nn

import (
	"reflect"

	"github.com/langevin-go/langevin/tensor"
)

// EmbeddingTables gives the parameters of a model that are looked up by row
// instead of multiplied with: tables of classes, tokens, their places and learned times. (Weight
// decay is mostly kept from them, as from biases and norms.)
func EmbeddingTables(model any) []*tensor.Param {
	var tables []*tensor.Param
	w := walker{seen: map[*tensor.Param]bool{}, names: map[string]bool{}, visit: func(v reflect.Value) {
		var p *tensor.Param
		switch layer := v.Interface().(type) {
		case *Embedding:
			p = layer.Weight
		case *TextEncoder:
			p = layer.Position // its tokens are an Embedding
		case *CondEmbedding:
			p = layer.Class
		case *LearnedTime:
			p = layer.Weight
		}
		if p != nil {
			tables = append(tables, p)
		}
	}}
	w.walk(reflect.ValueOf(model), "")
	return tables
}
