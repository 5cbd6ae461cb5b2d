package plan

// Destination is how callers reach a service: whole, and by subset.
type Destination struct {
	Service *Service
	// Site and Zone are set when callers at one site reach the service in one zone.
	Site *Site
	Zone string
	// Policy of the service; nil if there is none.
	Policy *Policy
	// Subsets that something refers to, sorted by name.
	Subsets []SubsetDestination
}

// SubsetDestination is a subset with its own policy, which goes before that of the service.
type SubsetDestination struct {
	Subset Subset
	Policy *Policy
}
