package train

import (
	"os"
	"path/filepath"

	"github.com/langevin-go/langevin/internal/invalid"
	"github.com/langevin-go/langevin/nn"
	"github.com/langevin-go/langevin/nn/interop"
	"github.com/langevin-go/langevin/nn/text"
)

// adoptText takes the sizes of the text encoder that text.from names. A run that goes on
// does without the folder, once it has been resolved.
func (t *Trainer) adoptText() error {
	if t.exp.Text == nil {
		return nil
	}
	own := *t.exp.Text // what is filled in is not the caller's
	t.exp.Text = &own
	if own.From == "" {
		return nil
	}
	o, err := interop.ReadTextConfig(own.From)
	switch {
	case err == nil:
		t.exp.Text.Encoder = *o
	case !t.dir.hasCheckpoint():
		return t.exp.at("text", invalid.Field("from", "cannot be used: %v", err))
	}
	return nil
}

// loadText sets the first weights of the text encoder.
func (t *Trainer) loadText() error {
	if t.exp.Text == nil || t.exp.Text.From == "" || t.dir.hasCheckpoint() {
		return nil
	}
	if err := interop.LoadTextInto(t.exp.Text.From, t.net.(*nn.Prompted).Text); err != nil {
		return t.exp.at("text", invalid.Field("from", "cannot be used: %v", err))
	}
	return nil
}

// tokenizerBeside reads the tokenizer of the text encoder that text.from names.
func (l *Loaded) tokenizerBeside() (*text.Tokenizer, error) {
	for _, dir := range []string{l.Text.From, filepath.Join(l.Text.From, "..", "tokenizer")} {
		for _, name := range []string{"tokenizer.json", "vocab.json"} {
			if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
				continue
			}
			tok, err := text.Open(dir)
			if err != nil {
				return nil, invalid.Field("from", "has a tokenizer that cannot be used: %v", err)
			}
			return tok, nil
		}
	}
	return nil, invalid.Field("from", "has no tokenizer, nor has the folder tokenizer beside it: name one with text.tokenizer: {kind: files, path: …}")
}
