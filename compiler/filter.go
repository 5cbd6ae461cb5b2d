package compiler

import (
	"strings"
	"time"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/isthmus-mesh/isthmus/compiler/plan"
)

// filter applies a filter to the rule.
func (r *ruleWork) filter(f gatewayv1.HTTPRouteFilter, field element) {
	switch {
	case f.RequestHeaderModifier != nil:
		r.Request = headerChange(f.RequestHeaderModifier)
	case f.ResponseHeaderModifier != nil:
		r.Response = headerChange(f.ResponseHeaderModifier)
	case f.RequestMirror != nil:
		r.mirror(f.RequestMirror, field)
	case f.RequestRedirect != nil:
		r.Redirect = redirect(f.RequestRedirect)
	case f.URLRewrite != nil:
		r.Rewrite = rewrite(f.URLRewrite)
	case f.CORS != nil:
		r.CORS = cors(f.CORS)
	default:
		r.unsupported(field)
	}
}

// headerChange turns lists into maps; of several entries of one name the first counts.
func headerChange(f *gatewayv1.HTTPHeaderFilter) *plan.HeaderChange {
	return &plan.HeaderChange{Set: headerMap(f.Set), Add: headerMap(f.Add), Remove: f.Remove}
}

func headerMap(headers []gatewayv1.HTTPHeader) map[string]string {
	if len(headers) == 0 {
		return nil
	}
	values := make(map[string]string, len(headers))
	seen := make(map[string]bool, len(headers))
	for _, header := range headers {
		if lower := strings.ToLower(string(header.Name)); !seen[lower] {
			seen[lower] = true
			values[string(header.Name)] = header.Value
		}
	}
	return values
}

func (r *ruleWork) mirror(f *gatewayv1.HTTPRequestMirrorFilter, field element) {
	b, exists := r.routeWork.backend(f.BackendRef, field)
	if !exists {
		return
	}
	percent := 100.0
	switch {
	case f.Percent != nil:
		percent = float64(*f.Percent)
	case f.Fraction != nil:
		denominator := int32(100)
		if f.Fraction.Denominator != nil {
			denominator = *f.Fraction.Denominator
		}
		percent = 100 * float64(f.Fraction.Numerator) / float64(denominator)
	}
	r.Mirrors = append(r.Mirrors, plan.Mirror{Backend: b, Percent: percent})
}

func redirect(f *gatewayv1.HTTPRequestRedirectFilter) *plan.Redirect {
	to := &plan.Redirect{Path: pathChange(f.Path), Status: plan.DefaultRedirectStatus}
	if f.Scheme != nil {
		to.Scheme = *f.Scheme
	}
	if f.Hostname != nil {
		to.Host = string(*f.Hostname)
	}
	if f.Port != nil {
		to.Port = *f.Port
	}
	if f.StatusCode != nil {
		to.Status = int32(*f.StatusCode)
	}
	return to
}

func rewrite(f *gatewayv1.HTTPURLRewriteFilter) *plan.Rewrite {
	to := &plan.Rewrite{Path: pathChange(f.Path)}
	if f.Hostname != nil {
		to.Host = string(*f.Hostname)
	}
	return to
}

func pathChange(f *gatewayv1.HTTPPathModifier) *plan.PathChange {
	switch {
	case f == nil:
		return nil
	case f.ReplaceFullPath != nil:
		return &plan.PathChange{Full: true, Value: *f.ReplaceFullPath}
	case f.ReplacePrefixMatch != nil:
		return &plan.PathChange{Value: *f.ReplacePrefixMatch}
	}
	return nil
}

func cors(f *gatewayv1.HTTPCORSFilter) *plan.CORS {
	return &plan.CORS{
		Origins:     texts(f.AllowOrigins),
		Methods:     texts(f.AllowMethods),
		Headers:     texts(f.AllowHeaders),
		Exposed:     texts(f.ExposeHeaders),
		MaxAge:      time.Duration(f.MaxAge) * time.Second,
		Credentials: f.AllowCredentials != nil && *f.AllowCredentials,
	}
}

func texts[T ~string](values []T) []string {
	var all []string
	for _, value := range values {
		all = append(all, string(value))
	}
	return all
}
