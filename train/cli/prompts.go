package cli

import (
	"bufio"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/langevin-go/langevin/internal/badfile"
	"github.com/langevin-go/langevin/train"
)

// promptFlags are what sample is told about prompts.
type promptFlags struct {
	prompts  []string
	file     string
	negative string
}

func (f *promptFlags) add(c *cobra.Command) {
	fl := c.Flags()
	fl.StringArrayVar(&f.prompts, "prompt", nil, "what the samples are to show; given more than once: in turn (default: as the run's config says, else nothing)")
	fl.StringVar(&f.file, "prompts", "", "text file with a prompt a line, instead of --prompt")
	fl.StringVar(&f.negative, "negative", "", "prompt that guidance leads away from (default: as the run's config says, else none)")
}

// maxPrompts bounds a file of prompts.
const maxPrompts = 1 << 20

// read gives the prompts of the command line; nil: there are none.
func (f *promptFlags) read() ([]string, error) {
	if f.file == "" {
		return f.prompts, nil
	}
	if f.prompts != nil {
		return nil, usagef("--prompt and --prompts exclude each other")
	}
	file, err := os.Open(f.file)
	if err != nil {
		return nil, fmt.Errorf("--prompts: %w", badfile.Read(f.file, err))
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, maxPrompts)
	var prompts []string
	for lines.Scan() {
		if s := strings.TrimSpace(lines.Text()); s != "" {
			prompts = append(prompts, s)
		}
		if len(prompts) > maxPrompts {
			return nil, fmt.Errorf("--prompts %s: more than %d prompts", f.file, maxPrompts)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("--prompts %s: %w", f.file, err)
	}
	if len(prompts) == 0 {
		return nil, fmt.Errorf("--prompts %s: the file has no prompts: want one a line", f.file)
	}
	return prompts, nil
}

// use puts prompts into a request of q.N samples, and says how many columns a picture
// is to have: one a prompt, if there are several; 0: whatever suits.
func (f *promptFlags) use(a *app, t *train.Trained, q *train.Request) (columns int, err error) {
	prompts, err := f.read()
	if err != nil {
		return 0, err
	}
	if !t.TakesPrompts() {
		switch {
		case prompts != nil:
			return 0, fmt.Errorf("--prompt: the model takes no prompts: train one on captions, with a text section in the experiment")
		case f.negative != "":
			return 0, fmt.Errorf("--negative: the model takes no prompts")
		}
		return 0, nil
	}
	if prompts == nil {
		prompts = t.How.Prompts
	}
	if q.Negative = f.negative; q.Negative == "" {
		q.Negative = t.How.Negative
	}
	if f.negative != "" && (prompts == nil || t.How.EffectiveScale() == 1) {
		return 0, fmt.Errorf("--negative: without --prompt and --guidance there is no guidance that could lead away from it")
	}
	for _, p := range append(prompts[:len(prompts):len(prompts)], q.Negative) {
		if !t.PromptFits(p) {
			a.warn("the prompt %q is longer than the text encoder takes: its end is cut off", p)
		}
	}
	q.SetPrompts(prompts)
	if n := len(prompts); n > 1 && n <= min(q.N, maxColumns) {
		return n, nil
	}
	return 0, nil
}

// maxColumns is how many prompts get a column each in a picture.
const maxColumns = 32
