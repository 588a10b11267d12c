"""Names from many cultures, for invented people: any likeness to a real person is chance."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Culture:
    """Hold given and family names, where such customers live (repeated = more often) and the order of their names."""

    key: str
    given: tuple[str, ...]
    family: tuple[str, ...]
    countries: tuple[str, ...]
    family_first: bool = False


def _culture(key: str, given: str, family: str, countries: str, *, family_first: bool = False) -> Culture:
    return Culture(
        key=key,
        given=tuple(given.split()),
        family=tuple(family.split()),
        countries=tuple(countries.split()),
        family_first=family_first,
    )


CULTURES: tuple[Culture, ...] = (
    _culture(
        "yoruba",
        "Adebayo Folasade Olumide Titilayo Babatunde Yewande Ayodele Temitope Kehinde Morenike Segun Abimbola",
        "Adeyemi Ogunleye Akinwale Oladipo Fashola Oyelaran Adegoke Balogun Ojo Akande Ogundipe Bamidele",
        "NG GB GB DE",
    ),
    _culture(
        "igbo",
        "Chinedu Ngozi Obinna Adaeze Ikenna Chioma Emeka Nkechi Uchenna Ifeoma Kelechi Amarachi",
        "Okafor Nwosu Eze Okonkwo Umeh Nnamdi Obi Chukwu Anyanwu Ibekwe Onyeka Ezeudu",
        "NG IE GB US",
    ),
    _culture(
        "turkish",
        "Ayşe Mehmet Zeynep Emre Elif Burak Gülşen Oğuz Şebnem Kerem Çiğdem Tolga",
        "Yıldırım Kaya Öztürk Şahin Çelik Demirtaş Aydoğan Güneş Karaca Bozkurt Ünal Işık",
        "TR DE DE NL",
    ),
    _culture(
        "hindi",
        "Aarav Priya Rohan Ananya Vikram Sunita Arjun Kavita Rahul Neha Sanjay Meera",
        "Sharma Gupta Verma Agarwal Mishra Chauhan Tiwari Saxena Bhatt Malhotra Joshi Kapoor",
        "IN GB US DE",
    ),
    _culture(
        "tamil",
        "Karthik Lakshmi Senthil Divya Murugan Anitha Prakash Revathi Ganesh Kavya Suresh Nandini",
        "Subramanian Venkatesan Ramasamy Krishnan Natarajan Palaniswamy Iyer Chandrasekar Selvam Rajan Murugesan Arumugam",
        "IN IN GB",
    ),
    _culture(
        "vietnamese",
        "Minh Linh Hùng Thảo Quân Hương Dũng Phương Tuấn Lan Khánh Trang",
        "Nguyễn Trần Phạm Hoàng Võ Đặng Bùi Đỗ Hồ Ngô Dương Lý",
        "VN DE FR US",
        family_first=True,
    ),
    _culture(
        "brazilian",
        "João Beatriz Thiago Larissa Mateus Camila Rafael Juliana Caio Letícia Vinícius Renata",
        "Silveira Conceição Moura Figueiredo Assunção Barros Teixeira Araújo Nogueira Brandão Guimarães Peixoto",
        "BR PT PT IE",
    ),
    _culture(
        "mexican",
        "Alejandra Héctor Guadalupe Íñigo Ximena Joaquín Rocío Emiliano Marisol Andrés Lucía Tomás",
        "Hernández Ibáñez Zavala Cárdenas Muñoz Villaseñor Quiroga Ordóñez Palomares Cisneros Treviño Escamilla",
        "MX ES ES US",
    ),
    _culture(
        "polish",
        "Małgorzata Łukasz Agnieszka Paweł Zofia Grzegorz Żaneta Michał Katarzyna Wojciech Bożena Stanisław",
        "Wiśniewska Dąbrowski Zielińska Wójcik Kamińska Szymański Jabłońska Krawczyk Pawłowska Górski Sikorska Bąk",
        "PL DE GB",
    ),
    _culture(
        "german",
        "Annegret Jürgen Sabine Matthias Käthe Lukas Ulrike Björn Heike Tobias Grete Sören",
        "Müller Schäfer Hoffmann Böhm Krüger Weiß Lehmann Köhler Brandt Vogel Jäger Großmann",
        "DE DE DE AT",
    ),
    _culture(
        "british",
        "Grace Callum Imogen Alfie Will May Harriet Rhys Eilidh Jack Poppy Nigel",
        "Ashworth Penhaligon MacLeod Featherstone Llewellyn Hargreaves Bright Whitcombe O'Brien Thistlewood Price Young",
        "GB GB IE",
    ),
    _culture(
        "american",
        "Madison Tyler Savannah Brandon Chase Faith Logan Destiny Hunter Brooke Mason Paige",
        "Whitaker Delacroix Burke Van-Dyke Hollis Stratton McAllister Beaumont Fields Carver Lockwood Rivers",
        "US US US DE",
    ),
    _culture(
        "japanese",
        "Haruki Sakura Takeshi Yumiko Kenji Aiko Ryota Naoko Daisuke Emi Shota Keiko",
        "Tanaka Matsumoto Kobayashi Fujiwara Yoshida Nakagawa Ishikawa Hayashi Shimizu Morimoto Ogawa Sakamoto",
        "JP JP JP DE",
    ),
    _culture(
        "arabic",
        "Khalid Fatima Yousef Maryam Omar Layla Tariq Noura Hassan Salma Faisal Amina",
        "Al-Rashid Al-Sabbagh Haddad Al-Mutairi Mansour Al-Khatib Nasser Darwish Al-Enezi Sayegh Al-Fahad Khoury",
        "KW KW AE FR",
    ),
    _culture(
        "greek",
        "Georgios Eleni Nikolaos Katerina Dimitris Sofia Panagiotis Despina Stavros Anthoula Vasilis Ioanna",
        "Papadopoulos Karagianni Economou Vlachos Stathopoulou Christodoulou Makris Antoniou Kontos Zervas Galanis Raptis",
        "GR GR DE",
    ),
    _culture(
        "kenyan",
        "Wanjiru Kamau Achieng Otieno Njeri Kipchoge Akinyi Mwangi Chebet Barasa Nyambura Odhiambo",
        "Kariuki Ochieng Mutua Wambui Kiprotich Njoroge Onyango Muthoni Cheruiyot Wafula Githinji Okoth",
        "KE KE GB",
    ),
    _culture(
        "chinese",
        "Wei Xiuying Jian Meilin Haoran Yuxin Zhiqiang Lihua Bowen Qiaolian Junjie Shufen",
        "Zhang Liang Huang Zhao Zhou Xu Sun Gao Luo Zheng Xie Deng",
        "DE NL US GB",
        family_first=True,
    ),
    _culture(
        "french",
        "Amélie Théo Chloé Baptiste Maëlle Gaël Océane Rémi Solène Étienne Noémie Loïc",
        "Lefèvre Beauchêne Dupré Gauthier Rousselot Marchand Delaunay Bérenger Pichon Vasseur Hébert Lacroix",
        "FR FR BE",
    ),
    _culture(
        "italian",
        "Giulia Lorenzo Chiara Matteo Francesca Niccolò Alessia Davide Martina Gabriele Ilaria Pietro",
        "Bianchini Colombo D'Angelo Ferraro Galli Lombardini Marchetti Pellegrino Rinaldi Santoro Vitale Zanetti",
        "IT IT AT",
    ),
    _culture(
        "ukrainian",
        "Oksana Andrii Nataliia Bohdan Iryna Taras Halyna Mykola Svitlana Ostap Lesia Petro",
        "Shevchuk Kovalenko Bondarenko Tkachenko Melnyk Kravets Lysenko Hrytsenko Savchuk Romaniuk Zaiets Koval",
        "PL DE NL",
    ),
    _culture(
        "ethiopian",
        "Tsion Dawit Hiwot Bekele Selam Yonas Meseret Tewodros Bethlehem Abebe Genet Kebede",
        "Tesfaye Girma Alemu Haile Worku Desta Mekonnen Assefa Wolde Tadesse Gebre Demissie",
        "DE NL US",
    ),
    _culture(
        "filipino",
        "Maricel Jomar Rowena Crisanto Analyn Reynaldo Liezel Danilo Jocelyn Arnel Marites Rodel",
        "Dela-Cruz Bautista Villanueva Manalo Pangilinan Macaraeg Dimaculangan Salonga Abad Catacutan Lacson Tolentino",
        "GB IE KW",
    ),
)
"""What is asked of masking: the names it misses most stand beside those that it finds."""
