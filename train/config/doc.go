// Package config decodes YAML strictly into Go structs and writes it back.
//
// A config struct names its keys with `yaml:"name"` and explains them with
// `doc:"..."`; a default stands in one place, the struct's SetDefaults method;
// what a single value may be is said by `range:"(0,1]"` or `oneof:"a b c"`, and
// what belongs together is checked by a Validate method. From these four the
// package derives decoding, error messages, the resolved config of a run and
// the reference in docs/configuration.md.
//
//	type Optim struct {
//		LR     float64 `yaml:"lr" doc:"peak learning rate" range:"(0,inf)"`
//		Warmup int     `yaml:"warmup" doc:"steps of linear warm-up" range:"[0,inf)"`
//	}
//
//	func (o *Optim) SetDefaults() { o.LR, o.Warmup = 1e-3, 100 }
//
//	func (o *Optim) Validate() error {
//		if o.Warmup > 0 && o.LR > 1 {
//			return config.Field("lr", "must be at most 1 with a warm-up, is %g", o.LR)
//		}
//		return nil
//	}
//
// The tags and methods are plain Go: a package that must not depend on YAML can
// own such a struct without importing this one.
//
// # Tags
//
//   - `yaml:"name"`: the key. `yaml:"name,required"`: there is no sensible
//     default, so the file has to give it. `yaml:",inline"`: the keys of an
//     embedded struct stand among its parent's. `yaml:"-"`: not a key. An
//     exported field without the tag is a bug and panics.
//   - `was:"name"`: the key's name in earlier versions, which is still read.
//   - `range:"[lo,hi)"`: bounds of a number, or of every number of a list; a
//     round bracket excludes its end, inf is allowed.
//   - `oneof:"a b c"`: the allowed words of a string, or of a list of strings.
//
// # Types
//
// Booleans, integers, floats, strings, time.Duration, [Value], anything with
// UnmarshalText and MarshalText (and, for help, Choices() []string), structs,
// slices, arrays, maps from strings, [Variant], and pointers to these but for
// slices and maps: a nil pointer is null, "not set". A list or map in the file
// replaces the default one; a section refines it.
//
// # Numbers
//
// YAML 1.1 and 1.2 disagree about what is a number. Here the target decides:
// for a float 1e-4, 1, .5, 20_000 and .inf are numbers (NaN never is); for an
// integer 20_000, 1e4 and 0xff are. A quoted scalar is never a number, and a
// number is never a string.
package config
