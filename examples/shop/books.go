package main

import (
	"context"
	"net/http"
)

// book is what details tells.
type book struct {
	Title  string `json:"title"`
	Author string `json:"author"`
	Year   int    `json:"year"`
	Pages  int    `json:"pages"`
	Cents  int64  `json:"cents"` // price in cents of the euro
}

// review is one of those that reviews tells; Stars is 0 where ratings were not asked.
type review struct {
	By    string `json:"by"`
	Text  string `json:"text"`
	Stars int    `json:"stars,omitempty"`
	Color string `json:"color,omitempty"`
}

func details(_ context.Context, _ http.Header, answer *Answer) {
	answer.Content = book{"Walden", "Henry David Thoreau", 1854, 352, 1490}
}

func ratings(_ context.Context, _ http.Header, answer *Answer) {
	answer.Content = map[string]int{"Ada": 5, "Emmy": 4}
}

// newReviews makes the handler of reviews: v1 has no stars, v2 black ones, every other version red.
func newReviews(cfg config) handler {
	color := "red"
	if cfg.version == "v2" {
		color = "black"
	}
	return func(ctx context.Context, header http.Header, answer *Answer) {
		reviews := []review{
			{By: "Ada", Text: "To be read beside a pond."},
			{By: "Emmy", Text: "I went to the woods, too, and came back."},
		}
		if cfg.version != "v1" && cfg.ratings != "" {
			answer.ask("ratings", func() (*Answer, error) { return get(ctx, cfg.ratings+"/ratings", header) })
			addStars(reviews, answer.Calls["ratings"].Content, color)
		}
		answer.Content = reviews
	}
}

// addStars takes ratings as they come out of JSON; without them reviews keep none.
func addStars(reviews []review, ratings any, color string) {
	stars, _ := ratings.(map[string]any)
	for i := range reviews {
		if count, ok := stars[reviews[i].By].(float64); ok {
			reviews[i].Stars, reviews[i].Color = int(count), color
		}
	}
}
