package train

import (
	"errors"
	"fmt"

	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/nn"
	"github.com/langevin-go/langevin/nn/text"
	"github.com/langevin-go/langevin/train/config"
	"github.com/langevin-go/langevin/train/data"
)

// Text says how captions and prompts are read.
type Text struct {
	From      string                                        `yaml:"from" doc:"folder of a text encoder that transformers has written (a CLIPTextModel): sizes and first weights are taken from there, and with tokenizer learned the tokenizer, which lies there or in the folder tokenizer beside it; empty: an encoder of our own"`
	Tokenizer config.Variant[TokenizerArg, *text.Tokenizer] `yaml:"tokenizer" doc:"what cuts prompts into tokens"`
	Encoder   nn.TextOptions                                `yaml:"encoder" doc:"the network that reads the tokens; trained together with the other one unless it is frozen"`
	Length    int                                           `yaml:"length" doc:"tokens that prompts are cut or filled up to; 0: encoder.length, which is the most" range:"[0,100000]"`
	Frozen    bool                                          `yaml:"frozen" doc:"leave the encoder's weights as they are"`
	Mask      bool                                          `yaml:"mask" doc:"nothing attends to the tokens that prompts are filled up with; Stable Diffusion's networks were trained without"`
}

// SetDefaults learns a tokenizer from the captions and an encoder with the network.
func (t *Text) SetDefaults() {
	t.Tokenizer, t.Mask = Tokenizers.Default("learned"), true
}

// TokenizerArg is what a tokenizer is made with.
type TokenizerArg struct {
	Captions func() []string // all captions of the training data
}

// Tokenizers is the registry of tokenizers. A program of one's own adds to it before cli.Main.
var Tokenizers = config.NewRegistry[TokenizerArg, *text.Tokenizer]("tokenizer", "What cuts prompts into tokens. A checkpoint has the whole vocabulary in it.")

type tokenizerFiles struct {
	Path string `yaml:"path,required" doc:"a tokenizer.json, or a folder with one or with vocab.json and merges.txt"`
}

func init() {
	config.Register(Tokenizers, "learned", "Byte-pair encoding that is learned from the captions of the training data, before the first step.",
		func(c *text.LearnOptions, a TokenizerArg) (*text.Tokenizer, error) {
			tok, err := text.Learn(a.Captions(), *c)
			if err != nil {
				return nil, invalid.Field("size", "does not go: %v", err)
			}
			return tok, nil
		})
	config.Register(Tokenizers, "files", "Byte-level byte-pair encoding in the files of Hugging Face's libraries, with GPT-2's or CLIP's conventions.",
		func(c *tokenizerFiles, _ TokenizerArg) (*text.Tokenizer, error) {
			tok, err := text.Open(c.Path)
			if err != nil {
				return nil, invalid.Field("path", "cannot be used: %v", err)
			}
			return tok, nil
		})
}

// prompter makes the prompts of an experiment; nil, if it has none. An experiment that
// goes on, or is sampled from, has its tokenizer from the checkpoint: stored.
func (l *Loaded) prompter(src data.Source, stored []byte) (*prompter, error) {
	if l.Text == nil {
		return nil, nil
	}
	var tok *text.Tokenizer
	var err error
	if stored != nil {
		tok, err = text.Parse("the checkpoint's tokenizer", stored)
	} else {
		tok, err = l.tokenizer(src)
	}
	if err != nil {
		return nil, l.at(blamed(err), err)
	}
	o := &l.Text.Encoder
	switch {
	case o.Vocab == 0:
		o.Vocab = tok.Size()
	case o.Vocab < tok.Size():
		return nil, l.places.Errorf("text.encoder.vocab", "is %d; the tokenizer has %d tokens", o.Vocab, tok.Size())
	}
	if o.End < 0 && o.Pool == "end" {
		if o.End = int(tok.End()); o.End < 0 {
			return nil, l.places.Errorf("text.encoder.end", "must be given: the tokenizer ends texts with no token")
		}
	}
	length, key := l.Text.Length, "text.length"
	if length == 0 {
		length, key = o.Length, "text.encoder.length"
	}
	if least := tok.Least() + 1; length < least || length > o.Length {
		return nil, l.places.Errorf(key, "must be from %d, with this tokenizer, to text.encoder.length=%d, is %d", least, o.Length, length)
	}
	return newPrompter(tok, length, l.Text.Mask), nil
}

// blamed is the section that an error about a tokenizer belongs to.
func blamed(err error) string {
	var e *invalid.Error
	if errors.As(err, &e) && e.Name == "from" {
		return "text"
	}
	return "text.tokenizer"
}

// tokenizer makes the tokenizer of a new run.
func (l *Loaded) tokenizer(src data.Source) (*text.Tokenizer, error) {
	if l.Text.From != "" && l.Text.Tokenizer.Kind == "learned" {
		return l.tokenizerBeside()
	}
	captioned, _ := data.CaptionsOf(src)
	return l.Text.Tokenizer.Build(TokenizerArg{Captions: func() []string { return allCaptions(captioned, int(l.Steps)*l.Batch) }})
}

// allCaptions are those of every sample; of endless data, of as many as training sees.
func allCaptions(src data.Captioned, most int) []string {
	n := src.Len()
	if n == data.Infinite {
		n = min(most, 1<<16)
	}
	var all []string
	for i := range n {
		all = append(all, src.Captions(uint64(i))...)
	}
	return all
}

// streamText numbers the first weights of the text encoder, so that those of the
// network are what they are without one.
const streamText = 0x7e7

// withText puts the experiment's text encoder before a network.
func (l *Loaded) withText(net Network, a ModelArg) (Network, error) {
	if l.Text == nil {
		return net, nil
	}
	if net.Conditions().TextWidth == 0 {
		return nil, fmt.Errorf("takes no prompts: use dit, unet or mlp, or leave out text")
	}
	enc, err := nn.NewTextEncoder(nn.NewInit(a.Device, a.Init.WithStream(streamText)), l.Text.Encoder)
	if err != nil {
		return nil, err
	}
	if l.Text.Frozen {
		for _, p := range nn.NamedParams(enc) {
			p.Param.Frozen = true
		}
	}
	return &nn.Prompted{Model: net, Text: enc}, nil
}

// textWidth is the width of encoded prompts; 0: there are none.
func (l *Loaded) textWidth() int {
	if l.Text == nil {
		return 0
	}
	return l.Text.Encoder.Width
}

// readPrompts makes the run's tokenizer, or takes that of the checkpoint which the run goes on from.
func (t *Trainer) readPrompts() error {
	var stored []byte
	if t.exp.Text != nil && !t.dir.hasCheckpoint() {
		stored = t.exp.knownTokenizer()
	} else if t.exp.Text != nil {
		paths, err := listCheckpoints(t.dir.Checkpoints())
		if err != nil {
			return err
		}
		for _, p := range paths { // damaged ones are passed over here, and spoken of when the run is restored
			if c, err := openCheckpoint(p); err == nil {
				stored = c.tokenizer
				c.Close()
				break
			}
		}
	}
	if t.exp.Text != nil {
		if _, ok := data.CaptionsOf(t.data.Train); !ok {
			return t.exp.places.Errorf("text", "needs data with captions: set data.captions, of digits or folder")
		}
	}
	var err error
	t.prompts, err = t.exp.prompter(t.data.Train, stored)
	return err
}

// taught is a config that names a teacher.
type taught interface{ taughtBy() string }

// knownTokenizer is that of the teacher, or of the run that the weights are from, where the same settings made it: tables of embeddings, and what
// a teacher says, go with one tokenizer. nil: there is no such run, or another tokenizer is asked for; whether those can be opened shows later.
func (l *Loaded) knownTokenizer() []byte {
	from := []string{l.Init}
	if c, ok := l.Objective.Config.(taught); ok {
		from = append([]string{c.taughtBy()}, from...)
	}
	for _, path := range from {
		if tok, of := storedText(path); tok != nil && (l.Text.From == "" || l.Text.From == of.From) && sameTokenizer(l.Text, of) {
			return tok
		}
	}
	return nil
}

// storedText is the tokenizer of a run or a checkpoint, and its settings; nil: there are none, or it cannot be read.
func storedText(path string) ([]byte, *Text) {
	if !ofRun(path) {
		return nil, nil
	}
	open := openCheckpoint
	if IsRun(path) {
		open = func(path string) (*checkpoint, error) { return newestOf(path, func(string, ...any) {}) }
	}
	c, err := open(path)
	if err != nil {
		return nil, nil
	}
	defer c.Close()
	var exp Loaded
	if _, err := config.Load(path, c.config, nil, &exp.Experiment); err != nil {
		return nil, nil
	}
	return c.tokenizer, exp.Text
}

// sameTokenizer reports whether two sections name a tokenizer alike.
func sameTokenizer(a, b *Text) bool {
	var as [2]string
	for i, t := range []*Text{a, b} {
		box := struct {
			Tokenizer config.Variant[TokenizerArg, *text.Tokenizer] `yaml:"tokenizer"`
		}{t.Tokenizer}
		r, err := config.Resolved(&box)
		if err != nil {
			return false
		}
		as[i] = string(r)
	}
	return as[0] == as[1]
}

// texts are what a checkpoint holds beside arrays and state.
func (t *Trainer) texts() texts {
	tx := texts{config: t.config}
	if t.prompts != nil {
		tx.tokenizer = t.prompts.tok.JSON()
	}
	return tx
}
