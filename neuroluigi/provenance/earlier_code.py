"""Which code of a record is today's: pieces of this package's analysis of earlier releases, where they give the same.

Without these, each release that moves or renames a function would call all results "code changed".
"""

from collections.abc import Iterable, Mapping

from neuroluigi.provenance.imported import PACKAGE

# Pieces of this package's own analysis as earlier releases had them, which give what those of today give: the same
# numbers, and pictures with the same lines, pixel by pixel, whose texts are less than a pixel apart.
_AS_TODAY = {
    ("Aggregate", "29543e4b03f109622a988f6495958de01b3ea8b524bb07b7ea8502aca0a35490"),
    ("Aggregate", "67eb8d674a89bede3c9ae98219833edfc1e5186950dd86469430ffb0b128b563"),
    ("Aggregate.output", "793e89a534fcb18599de91b6a13d6da1d3e75913b76a971f8e6551bbc1e6fe6f"),
    ("ChannelsTask", "4f9bab671e3d5caadef23f27622ae5acad0cc84914ba391458dfccb59606d51f"),
    ("ChannelsTask.sampling_rate_hz", "bf45267f6338de3e901a2a9a9c7504cac37e6f84947a683b121ce41268073406"),
    ("Concatenation", "d043c675173a13ef13547d570184dd82cb348e2c6d5db7dad6caaddfbf43684b"),
    ("Crossings", "97cd913df5259f1c11e2ac6d018f30df135f6ef8bdca20f8946dc7258ba0274d"),
    ("Crossings.noise", "21460f0f53eb7dcea34111c4be58d730982c263038de9f43dbf3ef41a8ad7fa2"),
    ("Crossings.options", "dddbdccca58dbf8d231d2f09d4e3b72a890df405daff09060dbbe15175c34ba7"),
    ("Crossings.threshold", "83a577e3cec22a8d31af08a43d8e793d9ae9a00b8c6e29693b404294f9749c37"),
    ("Edges", "c41f546ace29d8fcba78b7391d77f5b6ef38c2b5d96708448277b5d19a87f185"),
    ("Edges", "d64dec4b5d4a9d1a311e0b9029d39b0feac71963cd791253c3d11fab278db908"),
    ("Edges", "e20a8ca63347af7d988cba53e6ae77827e9b3655f641869dabc5c3f74b97adb7"),
    ("Edges.level", "ad257eeeb89dbc3cf97ed4e5a3a538fd6e804451ddd6c3f0285699ecc0f9f1ac"),
    ("Edges.levels", "1133522d2a6485cff98c43b506189b2fb38d4355d4a659172ab50202281f9599"),
    ("Edges.levels", "17e28aa1d5427b4878080a3efbaea8b78ab4644fb312188542559265cb859089"),
    ("Edges.threshold", "65cb6b656e0de8ec3a0d817346c9f8f0491b31eb13e8cef081b7c23287ca79a2"),
    ("EventOptions", "a6f92b856124060553b99be76c767af333729d2173630b212b35bc42a51bf7b8"),
    ("FoundEvents", "13d7785b3a032607fea357d8071174f28ffb1a815089a13c4084039bb265cef1"),
    ("Fraction", "b134d39753f0cad7f23e753b2846aa06b4bdce7c22b5fdf7ff14de95f8e35682"),
    ("GroupChannels", "47f22d7eaa0eafc942d5b17f4d02ffbaaca7a8c41fd7dc541bf22c3874fe47d6"),
    ("Picture", "fd717096f8348a3576a53a83da0e239d340a3b429cb71607318876ae7a7d9d34"),
    ("Plot", "0cbf9a9124bc60ca103c2ce9d707f1e894dd5ef7167c273899f8285c55a09ccc"),
    ("Plot", "15e724a3a915211dc001f6412d062a2daec13c0e64918ce7e9512e21c9b7373f"),
    ("Plot", "502346e31ccbd23e367b4c9aecd291c55902e1a8b680180532f1fc0d0746744d"),
    ("Quantity", "68d8b1ecb5a0c83ca3071d582a4e091662115d5e9064e93a6d3b19ab4dea1770"),
    ("ReadyMade", "3626190eabc89efeb5e75c671f7ec13367c9e6004c727118bf10550cfa69e751"),
    ("Rows", "a947cf78b1344faaf77ae82c53e1d08860a201311648c5443078367153f15eca"),
    ("Rows", "dd96f4b1c43739c9c6f3db53bffc0ce330930c94de3856393678d36a18ed9515"),
    ("Stats", "0bc926a5539ccfca749b46f212374867079c6e68e3fd3149e92585984a7ac753"),
    ("Stats", "7a763dcdac7409edf59532bf7ffe7c6af3e0d4a6dc658dc2e0d0881de9a52dbd"),
    ("TimeAxis", "313b522b82ac412d467ec1a572aaa2a35dcbed14a79c5717b46804e88277f9dd"),
    ("_DETAIL", "9d919f0041c813f9916486f3fc26cac066eef04e917e010cc9b50842b6883700"),
    ("_EDGE", "9d919f0041c813f9916486f3fc26cac066eef04e917e010cc9b50842b6883700"),
    ("_LEVEL", "9d919f0041c813f9916486f3fc26cac066eef04e917e010cc9b50842b6883700"),
    ("_OPTIONS", "97fd7fd152892e2f275089ed326d582d98f3c4e3789765c7ba236445c2841295"),
    ("_OfAllPlots", "5a1657cb4463b3b8f93d2ef79143df612971b8f9371c349b19838a6786a4bdde"),
    ("_SAMPLES", "9d919f0041c813f9916486f3fc26cac066eef04e917e010cc9b50842b6883700"),
    ("_SAMPLE_OF", "ed660b2588d5c6ff5b109744e3cdb25a3964778d6579a9b8c82c96b18d8a8353"),
    ("_SEAM", "9d919f0041c813f9916486f3fc26cac066eef04e917e010cc9b50842b6883700"),
    ("_column_starts", "70126af9207ecd37c0fb03d41569800c1d68ad162aca460d16bdb419009075a9"),
    ("_count", "5e856dbea4de7f7ad8006e827f02d376a5357e1544ccd2421b195d4c4357e52b"),
    ("_derived_by", "feb7f6e7e456fcd1b26ab7072a38d521e15ff2c4c6e7932fbbd8cc43ccb229c6"),
    ("_described", "757e11677e31a60b5e348589061503cae69cccdbf80e2bf65bd86a3056265a9e"),
    ("_detail", "651dd8e4677645bc82c566c840b70dbb2198d55873d86866179241b1010b81a3"),
    ("_detail", "f19b150caeff2fdd864e89d13c5ca0992d6b6a8a498980b321c574a5ac0e65e5"),
    ("_draw", "4ec93344d113000569b9a7f0042f4a66bb420922bd6e07452e86d30cec2209aa"),
    ("_draw", "d4faffaf001845c8928500fb3067215ebce3bd7ed02d63b9f1709436cb06c3e6"),
    ("_draw_gaps", "bd0c2d384dddcc17fd716b363716509e6d543758c8b3b63893e333384c4b1356"),
    ("_draw_rows", "851d2935ad8e2850ca3e4a66b2b6c0d5deab0e0c7fbac94e04d2e721c78e67eb"),
    ("_duration", "db80d2ce2c3e8036ded8324e1aa9e47b952dc25117d728eccd7ae08b1bb8b4a4"),
    ("_edge_marks", "adc52c6f3e6b2339564c097df6273b3b71d1f7e5ffc1ef624500457ff216ff15"),
    ("_edges_between", "4231f8c9c1cbd451aae5b19415b02928d251cb9c64773f5d774e7ec0cf27de0e"),
    ("_edges_between", "7091fce4c2cae9eafcbcf225b15ed41ce0f66bf73a4590471fe6d456a57da043"),
    ("_edges_header", "fd2f0547a53db7f7a1dc0dcc56895644a045a09021f45d86eb8967c0bfa52836"),
    ("_gaps_in_words", "314f64487227496a850f9e868fa57a5cd267d3313237ed896ed200d4809b9145"),
    ("_label_gaps", "e59be1fee3dfb9a1c3bbce8d4594d4592f3b28b15d5c013d1629126b1f5d02e9"),
    ("_label_recordings", "dcd6c14b9a6fced59db056f72fedae45ce07ebfec13242bf131276bf23137487"),
    ("_letters", "385bc6f7fd3539b5e5b311198212469ad5f345bce5d1468a165523d22cb024d2"),
    ("_level_text", "063b86d938f7b04dbc2085912c93b4a6e624b9fc66a1280c76e19cdb3f3379af"),
    ("_level_text", "bea2fc28a4baacbe6ef00859e4993767a621b1f23e5387b3e5d023aa12fa333a"),
    ("_levels", "352f8b8665b726a683e8d851c54023c5d851b02931608a9fa56c5d7c9823593b"),
    ("_limit", "459ede99aa2281cc62841e287c9b0f61e928a0e1dd06885be5c61cae351adbd6"),
    ("_limit", "b31adeb3eec00e6e1f2064a0fb8e80b41e2b4fb170dc5dcdf3e738ab13a9efd7"),
    ("_make_room", "89dfe01737ee0176b23b9d2f7d855a349423c16e87b5e89d42e9e99940abaf45"),
    ("_make_room", "d87412c25b50f3936bbcaaf0b274dea84c1e1e2ad1bd6b2001dac826a75ba416"),
    ("_mapped_anew", "5faddb70c8e48bcb7adacd224adae1405017f758fd301927839bde46534c47bc"),
    ("_place_of_level", "61367d4ac01b7370e953ff803dc118299145b8398f8349d3f8902d30ab16c4c7"),
    ("_read", "68ea044fcf3a645a3e023b35201532806f0d6314eb8c4a95e43177d77d3f40f4"),
    ("_shortened", "8830e44ba2ffd82f3d4d5dee6fb202299e94425de554381de9c099456494b2e3"),
    ("_spread", "fdba59af4a542f6fdf7bb0e392250c08a9f809d2fb7e61c453c8249b5dac2bfd"),
    ("_summary", "a2b82933f68fafd645bd8f481a8a80ff7f6bfa208156d86bd339885875f9c0ad"),
    ("_summary", "a38e24f028f1420537e5eeaa6a22f104db8005124cc09342f369ae0a33603b85"),
    ("_text", "328bbf998f169ebb8b25c63f8a104e2edc113adc1bc6f0027f0d26d46b780c00"),
    ("_units", "2e76801934a30250b4e9c8f206b1b5576cc1e9e0e1bf4d3814f785d5935f05fa"),
    ("blocks", "318dc6cbf9f3b493dba9aac47b248bf675b49aac9208b2623f32f1122d3b2304"),
    ("column_starts", "5914af86b3665a22d4c41678a856839d994956e6fda5c73c8bcd4d1b1f0f098f"),
    ("computeStats.m", "b00bcf84cd4a96a9eae775fd2bb29f2e7cc65769a0686d20e79cd8bf462ae67d"),
    ("compute_stats", "860de2fac8092bc67edf901863ecf17233f138fe8b22abd23628d6a04faebd91"),
    ("concatenateFiles.m", "c855ced958e4c7d87169429e5f4487d42a718feaf4267ae197e536c1cea85ebd"),
    ("concatenate_files", "101bdcde5071db5f7d43ea2ebcfda1b4df04e575a95f52e40b32827ef9b749c0"),
    ("draw_gaps", "bf9a4ccc57ab0705b12d1e437e5f5c061fd899d6718c96c2073891f051161877"),
    ("edge_marks", "5432da19c585624f31d7baa15eaa426165d2ad5965460628498a194802e6dd86"),
    ("edge_marks", "96224cfcbc3ec8caf699a93816b4345611c651b5f2c529df9ce567976178df2c"),
    ("edge_marks", "b3db267ee24a4858c2be9e4556daa909e51d4bb074cf1c86e54bbc3aa8f6acdb"),
    ("envelope", "7f0fe2b28e4d71a5fd76bed16a7630ee0ec0456e7ec525a22c587eb97d964797"),
    ("envelope", "a06ce3311f8ee2672967cc02dc2e5e53c83b55ae42e4af56cff28ef957bc121b"),
    ("findRisingEdges.m", "1911229cf6bec642898a6558f98fe338e1de6e420036a3c975631e9f2bbcb3a5"),
    ("findRisingEdges.m", "c7b675029977f337ffcf817002a23dced169ae5f62ece4aa34bf56a94b4b6924"),
    ("find_rising_edges", "254c73820e9a9f5a4148f81869af1f2c4184d2e3349e962e3292903d0951cba9"),
    ("find_rising_edges", "51236c8b4779acb72c75d69fe25d7e05e66d0e7e063e1f0050da732e063d5696"),
    ("given_channels", "e392f67203becc0896554b9f5bc88ad8e7963552e49c6b09f4dd1dbf03a19fc1"),
    ("group_figure", "28d88de5b2495e71db3002032546dbed2d0183c7b7e94beb610f374bb19b3267"),
    ("group_figure", "3a6645ed7493477fbf999a6935cad020c7b3d2b3a6a2dc4d804e815e26776b49"),
    ("group_figure", "df47d5ba3aa5a61705c364befd50b4c653efe3c34152d19ca6556df72215bddd"),
    ("label_gaps", "916fc2ee8fa11f962235bfba16274b3e94f6a45b8e5bcb38e47c48c8c6eb4328"),
    ("label_recordings", "671b7d010e8ba42de990b8b674f5885b959cac0d4b56d2bcc3888f52192ce60f"),
    ("levels", "4973a3f87aa76d83e43d6a1ce4d797ddf20b10a95731b974e364f893cb6112f0"),
    ("levels", "de7d0805a859e699b6db35d99e8396e7a3f049d3bd975b6a1f377167f7e597eb"),
    ("mapped_anew", "ea1cdecb51d35456a8f1e701eda19a12fe7d990f15fa9411f7380fb2101ee00e"),
    ("plot_group", "079d004178eff23b2b0c62e8959f11342ec30f3871a73fb0662664d97fdcc812"),
    ("plot_group", "a04a5beb11bd89dceedaeaf26d79d5c866b713e5dffa06e2979445e010cd6598"),
    ("plot_group", "cf69ff50b9822cbbd86312a2ff448340aa2cf8f57235bddfa15d8b9970279a4c"),
    ("readAggregate.m", "265c9a7d642eaca6d44f52dfb5c9a9492da18c32f0473598faf793b863335f04"),
    ("readBlock.m", "d37fa7003947adda5cb09142f344f0ab4596f98b44d4dd76c709adbf843180e1"),
    ("save_picture", "6eda3e8a145a45d8ae1cdf58c5bd41ee05ae0ce3a229bef4e83bbcb976d3f976"),
    ("shown_channels", "5e491007d2de4be4e64beefa6a85b8a789898f3d94f55e7acb787688303156d8"),
    ("shown_span", "ab0d1321dd43d3230d894ff2c07bb14b15322152a0864aca127e94766b8b2217"),
    ("time_axis", "ee10afa645b345a8b18c58dc69da32017a1ee2c8fc2fd69b5dc0bc81fca841eb"),
    ("time_label", "23c8c6b5d321f10cb083e05698102fbbe06184692d69bac8117044f103457ca8"),
}
# What these have beside them today, in Matlab; in Python all of the package's own.
_WITH_THEM = {
    "bandPass.m",
    "eventLevels.m",
    "eventOptions.m",
    "findEvents.m",
    "joinEvents.m",
    "noiseLevel.m",
    "pickEvents.m",
    "planBlocks.m",
    "planFilter.m",
    "readAggregate.m",
    "readFiltered.m",
    "trackCrossings.m",
    "writeEventSummary.m",
}


def differing(some: Iterable[Mapping], others: Iterable[Mapping]) -> list[str]:
    """Return the paths of the pieces of code that are not the same in both."""
    before, now = ({one["path"]: one["sha256"] for one in each} for each in (some, others))
    same = {path for path, sha256 in before.items() if (_own_name(path), sha256) in _AS_TODAY}
    added = now.keys() - before.keys() if same else set()
    same |= {path for path in added if path.startswith(f"{PACKAGE}:") or _own_name(path) in _WITH_THEM}
    return sorted(path for path in (before.keys() | now.keys()) - same if before.get(path) != now.get(path))


def _own_name(path: str) -> str:
    """Return the name of a piece of this package: an M-file's is the same in whatever folder a copy is."""
    return path.rpartition("/")[2].removeprefix(f"{PACKAGE}:")
