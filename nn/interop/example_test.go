package interop_test

import (
	"fmt"

	"github.com/langevin-go/langevin/nn/interop"
)

func ExampleParseConfig() {
	c, err := interop.ParseConfig("config.json", []byte(`{
		"_class_name": "UNet2DModel", "in_channels": 1, "out_channels": 1, "block_out_channels": [32, 64],
		"down_block_types": ["DownBlock2D", "AttnDownBlock2D"], "up_block_types": ["AttnUpBlock2D", "UpBlock2D"]}`))
	fmt.Println(c.Class, c.UNet.Channels, c.UNet.HeadDim, err)

	_, err = interop.ParseConfig("config.json", []byte(`{"_class_name": "UNet2DModel", "time_embedding_type": "sinus"}`))
	fmt.Println(err)
	// Output:
	// UNet2DModel [32 64] 8 <nil>
	// config.json: byte 52: field "time_embedding_type": must be "positional", "fourier" or "learned", is "sinus"
}
