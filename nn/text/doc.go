// Package text turns prompts into token ids: byte-level byte-pair encoding
// (Sennrich et al. 2016, Radford et al. 2019) with the conventions of GPT-2 and
// CLIP, read from the files that Hugging Face's libraries write, or learned from
// captions.
//
//	tok, err := text.Open("clip/tokenizer")      // tokenizer.json, or vocab.json and merges.txt
//	ids := tok.Encode("a handwritten seven")     // <|startoftext|> … <|endoftext|>
//	row, n := tok.Fit("a handwritten seven", 77) // the same, cut or padded to 77 ids
//
// What a file asks for and this package does not do is an error that names it:
// ids are those of the tokenizers library or there are none. The package knows no
// tensors; text encoders are in package nn.
package text
