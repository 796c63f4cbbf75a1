//! The logic of Patchcord without IO: vocabulary, media, RTP, dialects and the call machine.
