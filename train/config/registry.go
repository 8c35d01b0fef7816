package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"
)

// Registry holds the kinds of one thing, such as all samplers: by name, with
// their documentation, the type of their config, and how one is built from that
// config and an Arg, what only the running program knows (image shape, number
// of classes, ...). The pair (Arg, Out) identifies the registry: give every
// registry an Arg type of its own.
type Registry[Arg, Out any] struct{ core *registry }

// registry is a Registry without its types.
type registry struct {
	noun, doc string
	mu        sync.RWMutex
	kinds     map[string]*kind
}

type kind struct {
	name, doc string
	config    reflect.Type // a struct
	build     any          // func(config any, arg Arg) (Out, error)
}

var registries sync.Map // reflect.Type of the Variant → *registry

// NewRegistry makes the one registry of a pair of types; a second one of the
// same pair panics. noun is the thing in the singular, as in "sampler"; doc is
// a sentence for the reference.
func NewRegistry[Arg, Out any](noun, doc string) *Registry[Arg, Out] {
	r := &Registry[Arg, Out]{&registry{noun: noun, doc: doc, kinds: map[string]*kind{}}}
	t := reflect.TypeFor[Variant[Arg, Out]]()
	if old, taken := registries.LoadOrStore(t, r.core); taken {
		panic(fmt.Sprintf("config: the registries %q and %q have the same types %v", old.(*registry).noun, noun, t))
	}
	return r
}

// Register adds a kind. C is its config struct, of the form the package
// documentation describes; it needs no default constructor but SetDefaults. A
// name that is taken, or a C that cannot be decoded, panics.
func Register[Arg, Out, C any](r *Registry[Arg, Out], name, doc string, build func(cfg *C, arg Arg) (Out, error)) {
	r.core.add(name, doc, reflect.TypeFor[C](), func(cfg any, arg Arg) (Out, error) {
		c := cfg.(C)
		return build(&c, arg)
	})
}

// RegisterOptions adds a kind whose config struct is the thing itself: what is
// built is a pointer to the decoded struct, of prototype's type.
func RegisterOptions[Arg, Out any](r *Registry[Arg, Out], name, doc string, prototype Out) {
	t := reflect.TypeOf(prototype)
	if t.Kind() != reflect.Pointer {
		panic(fmt.Sprintf("config: the prototype of %s %s must be a pointer to its struct of options, is %v", r.core.noun, name, t))
	}
	r.core.add(name, doc, t.Elem(), func(cfg any, _ Arg) (Out, error) {
		p := reflect.New(t.Elem())
		p.Elem().Set(reflect.ValueOf(cfg))
		return p.Interface().(Out), nil
	})
}

// add keeps a kind; build is a func(config any, arg Arg) (Out, error).
func (r *registry) add(name, doc string, t reflect.Type, build any) {
	if t.Kind() != reflect.Struct {
		panic(fmt.Sprintf("config: the config of %s %s must be a struct, is %v", r.noun, name, t))
	}
	if !plainKey(name) {
		panic(fmt.Sprintf("config: %q is no name for a %s", name, r.noun))
	}
	if _, taken := schemaOf(t).byName[kindKey]; taken {
		panic(fmt.Sprintf("config: %v has the key %q, which names the kind of the %s", t, kindKey, r.noun))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.kinds[name] != nil {
		panic(fmt.Sprintf("config: a %s called %q is registered twice", r.noun, name))
	}
	r.kinds[name] = &kind{name, doc, t, build}
}

const kindKey = "kind"

// Kinds lists the registered names in order.
func (r *Registry[Arg, Out]) Kinds() []string { return r.core.names() }

// Lookup gives the kind of that name with its defaults. The error of an unknown
// one lists the valid names.
func (r *Registry[Arg, Out]) Lookup(name string) (Variant[Arg, Out], error) {
	k := r.core.lookup(name)
	if k == nil {
		return Variant[Arg, Out]{}, fmt.Errorf("%s", r.core.unknown(name))
	}
	return Variant[Arg, Out]{Kind: name, Config: k.defaults().Interface()}, nil
}

// Default is Lookup for a SetDefaults method: a name that is not registered is a
// bug and panics.
func (r *Registry[Arg, Out]) Default(name string) Variant[Arg, Out] {
	v, err := r.Lookup(name)
	if err != nil {
		panic("config: " + err.Error())
	}
	return v
}

func (r *registry) lookup(name string) *kind {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.kinds[name]
}

func (r *registry) names() []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.Sorted(maps.Keys(r.kinds))
}

func (r *registry) unknown(name string) string {
	return "unknown " + r.noun + " " + quote(name) + choices(name, r.names())
}

// defaults is a new, addressable config of the kind.
func (k *kind) defaults() reflect.Value {
	c := reflect.New(k.config).Elem()
	setDefaults(c)
	return c
}

// Variant is a field of a config struct that holds one kind of a [Registry] with
// its config. In YAML it is the name alone, `sampler: heun`, or a section with
// the key kind and the keys of that kind's config, `sampler: {kind: heun, steps: 20}`.
// A section without kind refines the field's default. Naming the kind starts
// from that kind's own defaults. Without a default it must be given; a pointer
// to a Variant may be null.
type Variant[Arg, Out any] struct {
	Kind   string
	Config any // the kind's config struct, by value
}

// Build makes the thing.
func (v Variant[Arg, Out]) Build(arg Arg) (Out, error) {
	var none Out
	r := v.core()
	k := r.lookup(v.Kind)
	if k == nil {
		return none, fmt.Errorf("%s", r.unknown(v.Kind))
	}
	if t := reflect.TypeOf(v.Config); t != k.config {
		return none, fmt.Errorf("the config of %s %s must be a %v, is %v", r.noun, v.Kind, k.config, t)
	}
	return k.build.(func(any, Arg) (Out, error))(v.Config, arg)
}

func (Variant[Arg, Out]) core() *registry {
	t := reflect.TypeFor[Variant[Arg, Out]]()
	r, ok := registries.Load(t)
	if !ok {
		panic(fmt.Sprintf("config: there is no registry for %v; make one with NewRegistry", t))
	}
	return r.(*registry)
}

func (v *Variant[Arg, Out]) get() (string, any)     { return v.Kind, v.Config }
func (v *Variant[Arg, Out]) set(kind string, c any) { v.Kind, v.Config = kind, c }

// variant is a *Variant of any types.
type variant interface {
	core() *registry
	get() (kind string, config any)
	set(kind string, config any)
}

var variantType = reflect.TypeFor[variant]()

func isVariant(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && reflect.PointerTo(t).Implements(variantType)
}

func variantOf(pointer reflect.Value) variant { return pointer.Interface().(variant) }

// config gives the kind of a variant and an addressable copy of its config; nil
// where none is set or a program mixed them up.
func configOf(vr variant) (*kind, reflect.Value) {
	name, cfg := vr.get()
	k := vr.core().lookup(name)
	if k == nil || reflect.TypeOf(cfg) != k.config {
		return nil, reflect.Value{}
	}
	c := reflect.New(k.config).Elem()
	c.Set(reflect.ValueOf(cfg))
	return k, c
}
