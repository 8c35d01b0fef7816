package report

import (
	_ "embed"
	"html/template"
	"io"
	"regexp"
	"strings"
	"text/tabwriter"
	"time"
)

//go:embed page.html
var pageText string

//go:embed page.css
var pageStyle string

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"style": func() template.CSS { return template.CSS(pageStyle) },
	"date":  func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") },
}).Parse(pageText))

// HTML writes the report as a page that makes no request and runs no script. All text is escaped.
func (r *Report) HTML(w io.Writer) error { return page.Execute(w, r) }

// markup are the characters that mean something to Markdown or HTML.
var markup = regexp.MustCompile("[\\\\`*_{}\\[\\]<>#|!]")

// plain is text that Markdown shows as it is, on one line.
func plain(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	return markup.ReplaceAllStringFunc(s, func(c string) string {
		switch c {
		case "<":
			return "&lt;"
		case ">":
			return "&gt;"
		}
		return `\` + c
	})
}

// Markdown writes the model's card. What people have stated is marked as such, and what nobody has answered says so.
func (r *Report) Markdown(w io.Writer) error {
	var b strings.Builder
	b.WriteString("# " + plain(r.Title) + "\n\n")
	if s := strings.TrimSpace(r.Stated.Summary); s != "" {
		b.WriteString(plain(s) + "\n\n")
	}
	for _, a := range r.Card {
		b.WriteString("## " + plain(a.Question) + "\n\n")
		for _, f := range a.Facts {
			b.WriteString("- " + plain(f) + "\n")
		}
		for _, s := range a.Stated {
			b.WriteString("- " + plain(s) + " *(stated)*\n")
		}
		switch {
		case a.Open():
			b.WriteString("**Unanswered.**\n")
		case a.Missing != "":
			b.WriteString("- *Unanswered by its makers.*\n")
		}
		b.WriteString("\n")
	}
	b.WriteString("## Facts\n\n```\n")
	tw := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, f := range r.Facts {
		io.WriteString(tw, f[0]+"\t"+strings.ReplaceAll(strings.Join(strings.Fields(f[1]), " "), "```", "'''")+"\n")
	}
	tw.Flush()
	b.WriteString("```\n")
	_, err := io.WriteString(w, b.String())
	return err
}
