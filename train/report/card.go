package report

import (
	"context"
	"fmt"
	"strings"

	"github.com/langevin-go/langevin/diffusion"
	"github.com/langevin-go/langevin/train"
)

// Stated is what a run cannot know of its model, and a person says: the file that the report command reads as card.yaml.
type Stated struct {
	Title       string     `yaml:"title" doc:"what the model is called; empty: the run's name"`
	Summary     string     `yaml:"summary" doc:"what it is, in a sentence or two"`
	IntendedUse string     `yaml:"intended_use" doc:"what it is for"`
	NotFor      string     `yaml:"not_for" doc:"what it must not be used for"`
	Data        string     `yaml:"data" doc:"where the data come from, their licence, and what is missing in them"`
	Conditions  string     `yaml:"conditions" doc:"what the conditions mean, and which combinations were never trained"`
	Deployment  Deployment `yaml:"deployment" doc:"how the model is sampled in use"`
	After       string     `yaml:"after_sampling" doc:"what is enforced on samples once they are drawn: filters, projections, checks"`
	RareModes   string     `yaml:"rare_modes" doc:"whether rare cases survive, and how that was looked at"`
	TaskMetrics string     `yaml:"task_metrics" doc:"figures of the task itself, open loop and closed loop"`
	Failures    []string   `yaml:"failures" doc:"how the model fails, one note each"`
	Licence     string     `yaml:"licence" doc:"of the weights"`
	Contact     string     `yaml:"contact" doc:"whom to ask"`
}

// Deployment is how the model is sampled in use.
type Deployment struct {
	Solver   string `yaml:"solver" doc:"solver in use"`
	Schedule string `yaml:"schedule" doc:"times or noise levels of its steps"`
	Steps    int    `yaml:"steps" doc:"its steps; 0: not said" range:"[0,inf)"`
	Noise    string `yaml:"noise" doc:"whether it is deterministic, and where its random numbers come from"`
	Budget   string `yaml:"latency_budget" doc:"the time that a sample may take, and what sets it"`
	Machine  string `yaml:"machine" doc:"what it runs on"`
}

// Answer is a question of the review checklist with what is known: facts of the run, and what a person has stated. Without either it is unanswered.
type Answer struct {
	Question string
	Facts    []string // of the run
	Stated   []string
	Missing  string // what is to be said by a person and is not; "": nothing
}

// Open reports whether nobody has answered.
func (a *Answer) Open() bool { return len(a.Facts) == 0 && len(a.Stated) == 0 }

// stated are the statements that are not empty.
func stated(of ...string) (out []string) {
	for _, s := range of {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// named is a statement with its name; "" of nothing.
func named(name, s string) string {
	if strings.TrimSpace(s) == "" {
		return ""
	}
	return name + ": " + s
}

// card answers the checklist.
func (r *Report) card(ctx context.Context, t *train.Trained) error {
	s, d := &r.Stated, &r.Stated.Deployment
	ask := func(question string, facts, said []string, missing string) {
		if len(said) > 0 {
			missing = ""
		}
		r.Card = append(r.Card, Answer{question, facts, said, missing})
	}
	stochastic, err := t.Stochastic(ctx)
	if err != nil {
		return fmt.Errorf("%s cannot be sampled as its config says: %w", t.Path, err)
	}
	steps := ""
	if d.Steps > 0 {
		steps = fmt.Sprintf("%d steps", d.Steps)
	}
	ask("What is predicted?", []string{fmt.Sprintf("%v: %s.", t.Model.Kind(), means(t.Model.Kind())), "Noise: " + fact(t, "noise") + ".", fmt.Sprintf("Objective %s, network %s.", t.Exp.Objective.Kind, t.Exp.Model.Kind)}, nil, "")
	ask("Which solver and schedule at evaluation?", []string{fmt.Sprintf("%s, time grid %s.", t.DescribeSampling(), t.How.Grid.Kind)}, nil, "")
	ask("Which solver and schedule at deployment?", nil, stated(named("Solver", d.Solver), named("Schedule", d.Schedule), named("Steps", steps), named("Machine", d.Machine)), "deployment.solver, deployment.schedule, deployment.steps")
	evaluations := fmt.Sprintf("%d steps", t.How.Steps)
	if r.Timed != nil {
		evaluations += fmt.Sprintf(", %d evaluations of the model a sample", r.Timed.Evaluations)
	}
	ask("How many sampler steps?", []string{"At evaluation " + evaluations + "."}, stated(named("At deployment", steps)), "deployment.steps")
	noise := "At evaluation deterministic: a sample follows from its starting noise."
	if stochastic {
		noise = "At evaluation stochastic: the solver adds noise on the way."
	}
	ask("Stochastic or deterministic?", []string{noise, "Random numbers are functions of the seed and a sample's number: the same seed gives the same samples, in any batch."}, stated(named("At deployment", d.Noise)), "deployment.noise")
	ask("What is it conditioned on?", conditions(t), stated(s.Conditions), "")
	ask("Which constraints hold during sampling?", during(t), nil, "")
	ask("Which constraints are enforced after sampling?", nil, stated(s.After), "after_sampling")
	ask("Are rare modes kept?", r.rare(), stated(s.RareModes), "rare_modes")
	var latency []string
	if r.Timed != nil {
		latency = []string{fmt.Sprintf("One sample at a time, on %s, as busy as the machine was: median %s, 99th percentile %s, worst %s, of %d requests.", r.Machine, ms(r.Timed.Median), ms(r.Timed.P99), ms(r.Timed.Max), r.Timed.Requests)}
	}
	ask("Does latency fit the budget?", latency, stated(named("Budget", d.Budget)), "deployment.latency_budget")
	ask("How good are samples, and how good is the task?", r.headlines(), stated(s.TaskMetrics), "task_metrics")
	ask("How does it fail?", r.trouble(), stated(s.Failures...), "failures")
	ask("What are the data?", []string{"Kind " + t.Exp.Data.Kind + ", samples of shape " + strings.ReplaceAll(fmt.Sprint(t.Shape), " ", "×") + "."}, stated(s.Data), "data")
	ask("What is it for, and what not?", nil, stated(named("For", s.IntendedUse), named("Not for", s.NotFor)), "intended_use, not_for")
	ask("Under which licence, and whom to ask?", nil, stated(named("Licence", s.Licence), named("Contact", s.Contact)), "licence, contact")
	return nil
}

// means says what a prediction is.
func means(k diffusion.Kind) string {
	switch k {
	case diffusion.Eps:
		return "the noise in the sample"
	case diffusion.X0:
		return "the clean data"
	case diffusion.V:
		return "the mixture of noise and data of Salimans and Ho (2022)"
	case diffusion.Score:
		return "the gradient of the log-density"
	case diffusion.Velocity:
		return "the velocity from data to noise"
	case diffusion.DataVelocity:
		return "the velocity from noise to data"
	}
	return "see the objective in the configuration"
}

// fact is one of inspect's facts.
func fact(t *train.Trained, name string) string {
	for _, f := range t.Facts() {
		if f[0] == name {
			return f[1]
		}
	}
	return "not known"
}

func conditions(t *train.Trained) (out []string) {
	for _, name := range []string{"classes", "vector", "condition", "prompts"} {
		if f := fact(t, name); f != "not known" {
			out = append(out, strings.ToUpper(name[:1])+name[1:]+": "+f+".")
		}
	}
	if t.TakesPrompts() && len(out) == 0 {
		out = append(out, "Prompts.")
	}
	if len(out) == 0 {
		out = append(out, "Nothing.")
	}
	return out
}

func during(t *train.Trained) (out []string) {
	for _, c := range t.How.Constraints {
		out = append(out, "Projection of the running estimate onto: "+c.Kind+".")
	}
	if c := t.How.Cost; c != nil {
		out = append(out, fmt.Sprintf("Cost %s at scale %g: samples are steered, nothing is guaranteed.", c.Of.Kind, c.Scale))
	}
	if c := t.How.Classifier; c != nil {
		out = append(out, fmt.Sprintf("Classifier guidance at scale %g: samples are steered, nothing is guaranteed.", c.Scale))
	}
	if t.How.Clip.On() {
		out = append(out, "The running estimate of the data is clipped.")
	}
	if len(out) == 0 {
		out = append(out, "None at evaluation.")
	}
	return out
}
