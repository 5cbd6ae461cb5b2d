package compiler_test

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
	"github.com/isthmus-mesh/isthmus/compiler"
)

func Example() {
	c := compiler.New(compiler.Options{TrustDomain: "isthmus.local"})
	c.Apply(1, []compiler.Change{
		{Kind: "Zone", Name: "dc1", Object: &v1alpha1.Zone{ObjectMeta: metav1.ObjectMeta{Name: "dc1"}}},
		{Kind: "Workspace", Name: "shop", Object: &v1alpha1.Workspace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}},
	})
	reviews := &compiler.Discovered{
		Workspace: "shop", Name: "reviews", Versions: []string{"v1", "v2"},
		Ports: []compiler.DiscoveredPort{{Port: 9080, Protocol: "http"}},
	}
	show(c.Apply(2, []compiler.Change{{Kind: compiler.KindDiscovered, Namespace: "shop", Name: "reviews", Object: reviews}}))
	show(c.Apply(3, []compiler.Change{canary("shop", "reviews", 90)}))
	show(c.Apply(4, []compiler.Change{canary("shop", "reviews", 50)}))

	// Output:
	// revision 2
	//   DestinationRule/shop/reviews
	//   ServiceEntry/shop/reviews
	// revision 3
	//   DestinationRule/shop/reviews
	//   VirtualService/shop/reviews
	// revision 4
	//   VirtualService/shop/reviews
}

func show(out *compiler.Output) {
	fmt.Println("revision", out.Revision)
	for _, resource := range out.Zones["dc1"].Upserts {
		fmt.Println(" ", resource.Name)
	}
}
