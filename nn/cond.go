package nn

import (
	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/tensor"
)

// Cond is what a sample is to be like. What is nil counts as unknown.
type Cond struct {
	Labels *tensor.Tensor // (N) int32 classes; the number of classes itself stands for no class
	Vector *tensor.Tensor // (N,D)
	Drop   *tensor.Tensor // (N) 1 where the vector counts as unknown, else 0
	Jump   *tensor.Tensor // (N), or (1) for all: how far ahead in time an answer is to lead; nil: nowhere
	Scale  *tensor.Tensor // (N), or (1) for all: how strong the guidance is that an answer is to be under, in [0,1]; nil: 0

	// Prompts: as token ids, which a [Prompted] network encodes, or encoded. A
	// network that is conditioned on prompts needs one of every sample: no prompt
	// is the empty prompt.
	Tokens   *tensor.Tensor // (N,L) int32
	TextMask *tensor.Tensor // (N,L) 0 where a token is padding, else 1; nil: nowhere
	Text     *tensor.Tensor // (N,L,C) the encoded tokens
	Pooled   *tensor.Tensor // (N,C) a vector for each whole prompt
}

// Model is a network over data x (N, …) at times t, (N) or a (1) shared by the batch.
type Model interface {
	Forward(x, t *tensor.Tensor, c Cond) *tensor.Tensor
	Conditions() CondOptions // what Forward accepts
}

// CondOptions are the conditions of a network.
type CondOptions struct {
	Classes     int    `yaml:"classes" doc:"number of classes to condition on; 0: none" range:"[0,inf)"`
	Vector      int    `yaml:"vector" doc:"length of a vector to condition on; 0: none" range:"[0,inf)"`
	VectorEmbed string `yaml:"vector_embed" doc:"how the vector enters: through a small MLP, as it is (its length is then the embedding's), or as a number embedded like the time" oneof:"mlp identity time"`
	Null        bool   `yaml:"null_condition" doc:"learn a null class and a null vector, for samples without a condition and classifier-free guidance"`
	Jump        bool   `yaml:"jump" doc:"condition on how far a step leads, as flows do that are made for few steps; objectives that need it set it"`
	Scale       bool   `yaml:"guidance_scale" doc:"condition on how strong guidance is to be, as students of guided teachers do that are told; objectives that need it set it"`
	TextWidth   int    `yaml:"text_width" doc:"width of encoded prompts to condition on; 0: as the experiment's text encoder has it, none without one" range:"[0,inf)"`
	Prompt      string `yaml:"prompt" doc:"how prompts enter: attention of the blocks to their tokens, a vector for the whole prompt that is added to the embedding of time and class, or both" oneof:"attention pooled both"`
}

// SetDefaults has no condition.
func (o *CondOptions) SetDefaults() {
	*o = CondOptions{VectorEmbed: "mlp", Null: true, Prompt: "attention"}
}

// Validate checks what belongs together.
func (o *CondOptions) Validate() error {
	switch {
	case o.Classes < 0:
		return invalid.Field("classes", "must not be negative, is %d", o.Classes)
	case o.Vector < 0:
		return invalid.Field("vector", "must not be negative, is %d", o.Vector)
	case o.VectorEmbed != "mlp" && o.VectorEmbed != "identity" && o.VectorEmbed != "time":
		return invalid.Field("vector_embed", "must be mlp, identity or time, is %q", o.VectorEmbed)
	case o.Vector > 1 && o.VectorEmbed == "time":
		return invalid.Field("vector", "must be 1 where vector_embed is time, is %d", o.Vector)
	case o.TextWidth < 0:
		return invalid.Field("text_width", "must not be negative, is %d", o.TextWidth)
	case o.TextWidth > 0 && o.Prompt != "attention" && o.Prompt != "pooled" && o.Prompt != "both":
		return invalid.Field("prompt", "must be attention, pooled or both, is %q", o.Prompt)
	}
	return nil
}

// NullLabel is the label that stands for no class, if there is one.
func (o CondOptions) NullLabel() (label int, ok bool) {
	return o.Classes, o.Classes > 0 && o.Null
}

// CondEmbedding maps conditions to one vector a sample: the sum of a class's row,
// a vector's embedding, a prompt's, and those of how far a step leads and how strong guidance is.
type CondEmbedding struct {
	Class      *tensor.Param  // (classes, or one more for the null class; dim)
	NullVector *tensor.Param  // (vector) what stands for an unknown vector
	Fc1, Fc2   *Linear        // the vector's MLP
	Time       *TimeEmbedding // the vector's, if it is embedded like a time
	Jump       *JumpEmbedding
	Scale      *JumpEmbedding // of the strength of guidance
	Prompt     *TextProjection

	opts CondOptions
}

// NewCondEmbedding is nil if there are no conditions. Rows of the class table are
// drawn from N(0, std²). features serve vector_embed: time.
func NewCondEmbedding(in *Init, o CondOptions, dim int, std float64, features func() TimeFeatures) (*CondEmbedding, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if o.Classes == 0 && o.Vector == 0 && !o.Jump && !o.Scale && !o.pools() {
		return nil, nil
	}
	e := &CondEmbedding{opts: o}
	if o.Jump {
		e.Jump = newJumpEmbedding(in, dim, features)
	}
	if o.Scale {
		e.Scale = newJumpEmbedding(in, dim, nil)
	}
	if o.pools() {
		e.Prompt = NewTextProjection(in, o.TextWidth, dim)
	}
	if o.Classes > 0 {
		rows := o.Classes
		if o.Null {
			rows++
		}
		e.Class = in.Normal(std, rows, dim)
	}
	if o.Vector == 0 {
		return e, nil
	}
	switch o.VectorEmbed {
	case "mlp":
		e.Fc1, e.Fc2 = NewLinear(in, o.Vector, dim), NewLinear(in, dim, dim)
	case "identity":
		if o.Vector != dim {
			return nil, invalid.Field("vector", "must be the embedding's length %d where vector_embed is identity, is %d", dim, o.Vector)
		}
	case "time":
		e.Time = NewTimeEmbedding(in, features(), dim)
	}
	if o.Null {
		e.NullVector = in.Normal(std, o.Vector)
	}
	return e, nil
}

// Forward gives (N, dim), or (1, dim) where nothing differs among the samples. It
// may be called on nil: then c must be empty and the result is nil.
func (e *CondEmbedding) Forward(s *tensor.Scope, c Cond) *tensor.Tensor {
	const op = "condition"
	if c.Labels != nil && (e == nil || e.Class == nil) {
		misuse(op, "labels for a network without classes")
	}
	if (c.Vector != nil || c.Drop != nil) && (e == nil || e.opts.Vector == 0) {
		misuse(op, "a vector for a network without a vector condition")
	}
	if c.Jump != nil && (e == nil || e.Jump == nil) {
		misuse(op, "a jump for a network without one")
	}
	if c.Scale != nil && (e == nil || e.Scale == nil) {
		misuse(op, "a strength of guidance for a network that knows none")
	}
	if e == nil {
		return nil
	}
	if e.Prompt != nil && c.Pooled == nil {
		misuse(op, "the network needs a pooled prompt of every sample")
	}
	m := s.Mark()
	var sum *tensor.Tensor
	if e.Class != nil {
		sum = e.class(s, c.Labels)
	}
	if e.opts.Vector > 0 {
		sum = plus(sum, e.embed(e.vector(s, c)))
	}
	if e.Jump != nil {
		sum = plus(sum, e.Jump.Forward(s, c.Jump))
	}
	if e.Scale != nil {
		sum = plus(sum, e.Scale.Forward(s, c.Scale))
	}
	if e.Prompt != nil {
		sum = plus(sum, e.Prompt.Forward(c.Pooled))
	}
	return s.Release(m, sum)
}

func (e *CondEmbedding) class(s *tensor.Scope, labels *tensor.Tensor) *tensor.Tensor {
	table := s.Param(e.Class)
	if labels != nil {
		return table.Gather(labels)
	}
	if !e.opts.Null {
		misuse("condition", "the network has no null class: it needs labels")
	}
	return table.Slice(0, e.opts.Classes, e.opts.Classes+1)
}

// vector is the condition, (N,D), with the null vector where it is dropped.
func (e *CondEmbedding) vector(s *tensor.Scope, c Cond) *tensor.Tensor {
	return vectorOr(s, e.NullVector, c)
}

// vectorOr is the vector of a condition, (N,D), or the one that stands for none, (1,D), which may be nil.
func vectorOr(s *tensor.Scope, none *tensor.Param, c Cond) *tensor.Tensor {
	if none == nil {
		if c.Vector == nil || c.Drop != nil {
			misuse("condition", "the network has no null vector: it needs the vector of every sample")
		}
		return c.Vector
	}
	null := s.Param(none).Reshape(1, -1)
	switch {
	case c.Vector == nil:
		return null
	case c.Drop == nil:
		return c.Vector
	}
	return c.Drop.Reshape(-1, 1).Where(null, c.Vector)
}

func (e *CondEmbedding) embed(v *tensor.Tensor) *tensor.Tensor {
	switch {
	case e.Time != nil:
		return e.Time.Forward(v)
	case e.Fc1 != nil:
		return e.Fc2.Forward(e.Fc1.Forward(v).SiLU())
	}
	return v
}

// plus is a+b, or b where a is nil.
func plus(a, b *tensor.Tensor) *tensor.Tensor {
	if a == nil {
		return b
	}
	return a.Add(b)
}

// addTo is x+e, or the one that is not nil.
func addTo(x, e *tensor.Tensor) *tensor.Tensor {
	if e == nil {
		return x
	}
	return x.Add(e)
}
