package cli

import "github.com/spf13/cobra"

func (a *app) sample() *cobra.Command  { return &cobra.Command{Use: "sample"} }
func (a *app) eval() *cobra.Command    { return &cobra.Command{Use: "eval"} }
func (a *app) inspect() *cobra.Command { return &cobra.Command{Use: "inspect"} }
func (a *app) bench() *cobra.Command   { return &cobra.Command{Use: "bench"} }
