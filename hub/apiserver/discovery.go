package apiserver

import (
	"bytes"
	"encoding/json"
	"net/http"

	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	discoveryendpoint "k8s.io/apiserver/pkg/endpoints/discovery/aggregated"
	genericapiserver "k8s.io/apiserver/pkg/server"
)

// installDiscovery serves /apis, the list of groups. The custom resource server leaves it to the
// aggregator of a cluster, which we do not have.
func installDiscovery(s *genericapiserver.GenericAPIServer) {
	both := discoveryendpoint.WrapAggregatedDiscoveryToHandler(plainGroups{s.AggregatedDiscoveryGroupManager}, s.AggregatedDiscoveryGroupManager, nil)
	s.Handler.GoRestfulContainer.Add(both.GenerateWebService("/apis", metav1.APIGroupList{}))
}

// plainGroups answers clients that do not know the aggregated form, from the same source.
type plainGroups struct{ aggregated http.Handler }

const aggregatedType = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

func (p plainGroups) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	groups, err := p.groups(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(groups) // the client may be gone; nobody else cares
}

func (p plainGroups) groups(r *http.Request) (*metav1.APIGroupList, error) {
	ask := r.Clone(r.Context())
	ask.Header = http.Header{"Accept": {aggregatedType}}
	var answer body
	p.aggregated.ServeHTTP(&answer, ask)
	var found apidiscoveryv2.APIGroupDiscoveryList
	if err := json.Unmarshal(answer.Bytes(), &found); err != nil {
		return nil, err
	}
	list := &metav1.APIGroupList{TypeMeta: metav1.TypeMeta{Kind: "APIGroupList", APIVersion: "v1"}, Groups: []metav1.APIGroup{}}
	for _, group := range found.Items {
		if len(group.Versions) > 0 {
			list.Groups = append(list.Groups, plainGroup(group))
		}
	}
	return list, nil
}

func plainGroup(group apidiscoveryv2.APIGroupDiscovery) metav1.APIGroup {
	plain := metav1.APIGroup{Name: group.Name}
	for _, v := range group.Versions {
		plain.Versions = append(plain.Versions, metav1.GroupVersionForDiscovery{
			GroupVersion: group.Name + "/" + v.Version, Version: v.Version})
	}
	plain.PreferredVersion = plain.Versions[0]
	return plain
}

// body is a ResponseWriter that keeps only the body.
type body struct {
	bytes.Buffer
	header http.Header
}

func (b *body) Header() http.Header {
	if b.header == nil {
		b.header = http.Header{}
	}
	return b.header
}

func (b *body) WriteHeader(int) {}
