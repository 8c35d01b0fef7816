package train

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/langevin-go/langevin/train/config"
)

// unimportant sections and settings do not change the weights that come out.
var unimportant = []string{"name", "sample", "checkpoint", "device", "max_skips", "max_time", "init", "steps", "validation", "post_hoc", "loading", "data.memory"}

// ChangedSettings lists the settings of a resolved config that differ from the
// old ones and decide what weights come out, as key=new (was old).
func ChangedSettings(old, now []byte) []string {
	was, is := flatten(today(old)), flatten(now)
	var changed []string
	for _, k := range slices.Sorted(maps.Keys(is)) {
		top, _, _ := strings.Cut(k, ".")
		if slices.Contains(unimportant, top) || slices.Contains(unimportant, k) || was[k] == is[k] {
			continue
		}
		if v, ok := was[k]; ok {
			changed = append(changed, fmt.Sprintf("%s=%s (was %s)", k, is[k], v))
		} else {
			changed = append(changed, fmt.Sprintf("%s=%s (was not set)", k, is[k]))
		}
	}
	if a, b := was["steps"], is["steps"]; a != b {
		changed = append(changed, fmt.Sprintf("steps=%s (was %s): the learning rate follows the schedule of %s steps from here on", b, a, b))
	}
	return changed
}

// today is a resolved config of an earlier version as this one would write it: with the keys that
// have come since, at their defaults. What cannot be read stays as it is.
func today(old []byte) []byte {
	var e Experiment
	if config.Decode("", old, nil, &e) == nil {
		if now, err := config.Resolved(&e); err == nil {
			return now
		}
	}
	return old
}

// flatten gives the scalars of a YAML document by their key paths.
func flatten(text []byte) map[string]string {
	out := make(map[string]string)
	var doc yaml.Node
	if yaml.Unmarshal(text, &doc) == nil && len(doc.Content) == 1 {
		flattenNode(doc.Content[0], "", out)
	}
	return out
}

func flattenNode(n *yaml.Node, key string, out map[string]string) {
	if n.Kind == yaml.ScalarNode {
		out[key] = n.Value
		return
	}
	for i, c := range n.Content {
		switch {
		case n.Kind != yaml.MappingNode:
			flattenNode(c, fmt.Sprintf("%s[%d]", key, i), out)
		case i%2 == 1:
			flattenNode(c, strings.TrimPrefix(key+"."+n.Content[i-1].Value, "."), out)
		}
	}
}
