package cli

import (
	"regexp"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/kubectl/pkg/cmd/annotate"
	"k8s.io/kubectl/pkg/cmd/apiresources"
	"k8s.io/kubectl/pkg/cmd/apply"
	"k8s.io/kubectl/pkg/cmd/auth"
	"k8s.io/kubectl/pkg/cmd/create"
	"k8s.io/kubectl/pkg/cmd/delete"
	"k8s.io/kubectl/pkg/cmd/describe"
	"k8s.io/kubectl/pkg/cmd/diff"
	"k8s.io/kubectl/pkg/cmd/edit"
	"k8s.io/kubectl/pkg/cmd/events"
	"k8s.io/kubectl/pkg/cmd/explain"
	"k8s.io/kubectl/pkg/cmd/get"
	"k8s.io/kubectl/pkg/cmd/label"
	"k8s.io/kubectl/pkg/cmd/patch"
	cmdutil "k8s.io/kubectl/pkg/cmd/util"
	"k8s.io/kubectl/pkg/cmd/wait"
	"k8s.io/kubectl/pkg/util/completion"
)

// verbs are kubectl's commands for objects of any kind. Names of field managers and of the
// annotation that records the last apply stay kubectl's, so that people may use either program on
// one object without conflicts with themselves.
func (c *CLI) verbs() []*cobra.Command {
	factory, streams := cmdutil.NewFactory(c.hub), c.streams
	completion.SetFactoryForCompletion(factory)
	all := []*cobra.Command{
		get.NewCmdGet("isthmus", factory, streams),
		apply.NewCmdApply("isthmus", factory, streams),
		diff.NewCmdDiff(factory, streams),
		describe.NewCmdDescribe("isthmus", factory, streams),
		explain.NewCmdExplain("isthmus", factory, streams),
		wait.NewCmdWait(c.hub, streams),
		edit.NewCmdEdit(factory, streams),
		delete.NewCmdDelete(factory, streams),
		events.NewCmdEvents(c.hub, streams),
		create.NewCmdCreate(factory, streams),
		patch.NewCmdPatch(factory, streams),
		label.NewCmdLabel(factory, streams),
		annotate.NewCmdAnnotate("isthmus", factory, streams),
		auth.NewCmdAuth(factory, streams),
		apiresources.NewCmdAPIResources(c.hub, streams),
	}
	for _, verb := range all {
		speakIsthmus(verb, verb.Name())
	}
	return all
}

// foreign are commands below a verb for kinds that no hub has.
var foreign = map[string]bool{
	"create clusterrole": true, "create clusterrolebinding": true, "create cronjob": true, "create deployment": true,
	"create ingress": true, "create job": true, "create poddisruptionbudget": true, "create priorityclass": true,
	"create quota": true, "create role": true, "create rolebinding": true, "create service": true,
	"create token": true, "create secret docker-registry": true, "auth reconcile": true,
}

var kubectl = regexp.MustCompile(`\bkubectl\b`)

// speakIsthmus gives a verb, known by its path below the root, and all below it our texts.
func speakIsthmus(verb *cobra.Command, path string) {
	own := verbTexts[path]
	verb.Short, verb.Long, verb.Example = own.short, own.long, own.example
	if own.use != "" {
		verb.Use = own.use
	}
	verb.Flags().VisitAll(func(flag *pflag.Flag) {
		if text, ok := verbFlagTexts[flag.Name]; ok {
			flag.Usage = text
		}
		flag.Usage = kubectl.ReplaceAllString(flag.Usage, "isthmus")
		if kubectl.MatchString(flag.DefValue) {
			flag.DefValue = "" // shown in the help only; the value stays
		}
	})
	for _, child := range verb.Commands() {
		if childPath := path + " " + child.Name(); foreign[childPath] {
			verb.RemoveCommand(child)
		} else {
			speakIsthmus(child, childPath)
		}
	}
}
